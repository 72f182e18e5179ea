"""Mails to members of deployments in which quiet hours and caps did not exist."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from cohort_evaluator.evaluation import evaluate_cohorts
from local.postgres import SUPERUSER, Postgres
from migrate_database.files import list_migrations
from migrate_database.migrations import apply_migrations
from migrate_database.roles import create_roles
from tests.integration.conftest import NOW
from tests.integration.test_loading import select

BEFORE = "0014_create_notifications"
# Two notifications that have told nothing of who entered so far. 3 has become 1, who had the first one, too.
ROWS = """
INSERT INTO cohorts (name, version, wanted) VALUES ('one', 1, 1);
INSERT INTO cohort_versions VALUES (1, 1,
    '{"name": "one", "title": "One", "subject": "user", "members": {"trait": "metadata.plan", "is_one_of": ["pro"]}}',
    now(), 'test', now(), 0);
INSERT INTO identities VALUES (1, 1, 'user', 'ada', 1), (2, 2, 'user', 'bob', 2), (3, 3, 'user', 'eve', 1);
INSERT INTO memberships VALUES (1, 1, '2026-11-20'), (1, 2, '2026-11-20');
INSERT INTO transitions (cohort_id, version, subject_id, kind, at, told_at, cause)
    VALUES (1, 1, 1, 'entered', '2026-11-20', now(), '{}'), (1, 1, 2, 'entered', '2026-11-20', now(), '{}');
INSERT INTO notifications (name, cohort_id, definition, created_at, created_by, seen, period_began)
SELECT name, 1, json_build_object('name', name, 'cohort', 'one', 'on', json_build_array('entered'), 'channel',
           json_build_object('mail', json_build_object('template', 'hello', 'repeat', repeat))), now(), 'test', 0, now()
FROM (VALUES ('once', '"once"'::json), ('again', '{"every": "2 days"}')) AS given (name, repeat);
INSERT INTO email_templates VALUES
    ('hello', 1, '{"subject": "Hi", "html": "Hi", "text": "Hi", "topic": "news"}', now(), 'test');
INSERT INTO mailed VALUES (1, 3, '2026-11-19', 1), (1, 1, '2026-11-18', 1), (2, 3, '2026-11-19', 1);
"""


@pytest.fixture
def old(postgres: Postgres) -> Iterator[Connection]:
    """A database as it was, with rows; its owner."""
    superuser = psycopg2.connect(postgres.dsn(SUPERUSER, "postgres"))
    superuser.autocommit = True
    with superuser.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS old")
        cursor.execute("CREATE DATABASE old OWNER master")
    master = psycopg2.connect(postgres.dsn("master", "old"))
    create_roles(master)
    master.close()
    migrator = psycopg2.connect(postgres.dsn("mailwake_migrator", "old"), options="-c timezone=UTC")
    apply_migrations(migrator, [path for path in list_migrations() if path.stem <= BEFORE])
    with migrator, migrator.cursor() as cursor:
        cursor.execute(ROWS)
    yield migrator
    migrator.close()
    superuser.close()


def test_rows_of_before_go_on(old: Connection, postgres: Postgres) -> None:
    """Who has had a mail gets none again, whichever of her names had it; who was not told is."""
    apply_migrations(old, list_migrations())
    kept = [(1, 1, 2), (2, 1, 1)]
    assert select(old, "SELECT notification_id, subject_id, times FROM mailed ORDER BY 1") == kept
    old.rollback()
    evaluator = psycopg2.connect(postgres.dsn("mailwake_evaluator", "old"), options="-c timezone=UTC")
    try:
        assert evaluate_cohorts(evaluator, NOW - timedelta(hours=20)).failed == 0
        found = "SELECT body #>> '{notification,name}', body #>> '{user,id}' FROM outbox ORDER BY 1, 2"
        assert select(evaluator, found) == [("again", "bob"), ("once", "bob")]
        assert evaluate_cohorts(evaluator, NOW).failed == 0
        assert select(evaluator, found) == [("again", "ada"), ("again", "bob"), ("once", "bob")]
    finally:
        evaluator.close()
