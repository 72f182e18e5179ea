"""A real Postgres with the schema as the deployment makes it, and a moto server for AWS."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.postgres import SUPERUSER, Postgres
from local.processes import ProcessGroup
from maintain_partitions.partitions import maintain_partitions
from migrate_database.files import list_migrations
from migrate_database.migrations import apply_migrations
from migrate_database.roles import create_roles

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TABLES = (
    "events, batches, quarantine, kinds, senders, mailings, receivers, clients,"
    " summaries, stale_hours, summary_mailings, summary_domains,"
    " activities, operations, agents, identities, identity_links, profiles, series, samples,"
    " usage_hours, usage_stale_hours, first_activities,"
    " changes, trait_writes, cohorts, cohort_versions, memberships, transitions, deadlines, missed,"
    " notifications, email_templates, mailed, mails_due, mails_written, mail_pauses, outbox, deliveries, suppressions"
)

Connect = Callable[[str], Connection]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server whose database `mailwake` belongs to a master that is no superuser, as on RDS."""
    directory = tmp_path_factory.mktemp("postgres")
    processes = ProcessGroup()
    server = Postgres(processes, directory=directory, log=directory / "log", settings={})
    try:
        server.initialise(master="master", database="mailwake")
        yield server
    finally:
        server.close()
        processes.close()


@pytest.fixture(scope="session")
def migrated(postgres: Postgres) -> Postgres:
    """The server with roles, schema and this month's partitions."""
    master = psycopg2.connect(postgres.dsn("master", "mailwake"))
    create_roles(master)
    master.close()
    migrator = psycopg2.connect(postgres.dsn("mailwake_migrator", "mailwake"))
    apply_migrations(migrator, list_migrations())
    maintain_partitions(migrator, NOW, premake_months=1, retention_months=12)
    migrator.close()
    return postgres


@pytest.fixture
def connect(migrated: Postgres) -> Iterator[Connect]:
    """Opens connections as a role, with the tables empty at first; closes them after the test."""
    opened: list[Connection] = []

    def open_as(role: str) -> Connection:
        opened.append(psycopg2.connect(migrated.dsn(role, "mailwake"), options="-c timezone=UTC"))
        return opened[-1]

    with open_as(SUPERUSER) as connection, connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLES}")
    yield open_as
    for connection in opened:
        connection.close()
