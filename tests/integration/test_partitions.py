from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.postgres import Postgres
from maintain_partitions.partitions import maintain_partitions
from migrate_database.files import list_migrations
from migrate_database.migrations import apply_migrations
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.test_loading import count, select

DATABASE = "partitions"


@pytest.fixture
def migrator(migrated: Postgres) -> Iterator[Connection]:
    """The schema's owner in a database of its own, without partitions."""
    superuser = psycopg2.connect(migrated.dsn("postgres", "postgres"))
    superuser.autocommit = True
    with superuser.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE} OWNER mailwake_migrator")
    connection = psycopg2.connect(migrated.dsn("mailwake_migrator", DATABASE), options="-c timezone=UTC")
    with connection, connection.cursor() as cursor:
        cursor.execute("GRANT CREATE ON SCHEMA public TO mailwake_migrator")
        cursor.execute("GRANT USAGE ON SCHEMA public TO mailwake_loader")
    apply_migrations(connection, list_migrations())
    yield connection
    connection.close()
    superuser.close()


def list_partitions(connection: Connection) -> list[str]:
    """The names of the partitions, oldest first."""
    return [name for (name,) in select(connection, "SELECT partition FROM events_partitions ORDER BY starts_at")]


def maintain(connection: Connection, year: int, month: int) -> list[str]:
    """Runs the maintenance in the middle of a month; the partitions that were dropped."""
    instant = datetime(year, month, 15, 3, tzinfo=UTC)
    return maintain_partitions(connection, instant, premake_months=2, retention_months=3).dropped


def test_partitions_are_made_ahead(migrator: Connection) -> None:
    """This month's and the next ones' partitions are there, also over the turn of the year."""
    assert maintain(migrator, 2026, 11) == []
    assert list_partitions(migrator) == ["events_p20261101", "events_p20261201", "events_p20270101"]


def test_maintenance_is_safe_to_repeat(migrator: Connection) -> None:
    """A second run changes nothing."""
    maintain(migrator, 2026, 11)
    before = list_partitions(migrator)
    assert maintain(migrator, 2026, 11) == []
    assert list_partitions(migrator) == before


def test_old_partitions_are_dropped(migrator: Connection) -> None:
    """What is older than the retention's whole months goes; the oldest month that is kept stays."""
    maintain(migrator, 2026, 7)
    assert maintain(migrator, 2026, 11) == ["events_p20260701"]
    assert list_partitions(migrator)[0] == "events_p20260801"


def test_mailings_go_with_their_last_event(migrator: Connection) -> None:
    """Mailings without events are deleted when a partition was dropped; others stay."""
    day = 86_400
    items = [
        make_event("1", age=200 * day, campaign_id="only old"),
        make_event("2", age=200 * day, campaign_id="old and new"),
        make_event("3", campaign_id="old and new"),
    ]
    batch = make_batch(items)
    Loader().load(migrator, batch, LIMITS)
    assert maintain(migrator, 2026, 11) == ["events_p20260501"]
    assert select(migrator, "SELECT campaign FROM mailings") == [("old and new",)]
    assert count(migrator, "events") == 1
