from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import connection as Connection

from local.postgres import Postgres
from migrate_database.migrations import MigrationError, apply_migrations
from migrate_database.roles import create_roles
from tests.integration.conftest import Connect
from tests.integration.test_loading import select


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[Connection]:
    """A connection to an empty database, as its owner."""
    superuser = psycopg2.connect(postgres.dsn("postgres", "postgres"))
    superuser.autocommit = True
    with superuser.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS empty")
        cursor.execute("CREATE DATABASE empty OWNER master")
    connection = psycopg2.connect(postgres.dsn("master", "empty"))
    yield connection
    connection.close()
    superuser.close()


def write(folder: Path, **files: str) -> list[Path]:
    """Migrations with these texts, in order."""
    paths = []
    for name, text in files.items():
        path = folder / f"{name}.sql"
        path.write_text(text)
        paths.append(path)
    return paths


def test_migrations_are_applied_once(empty: Connection, tmp_path: Path) -> None:
    """Each migration is applied once, in order; a later deploy applies what is new."""
    files = write(tmp_path, one="CREATE TABLE a (x int)", two="ALTER TABLE a ADD y int")
    assert apply_migrations(empty, files[:1]) == ["one"]
    assert apply_migrations(empty, files) == ["two"]
    assert apply_migrations(empty, files) == []


def test_refused_migration_leaves_nothing(empty: Connection, tmp_path: Path) -> None:
    """A migration that fails in its middle is undone whole, those before it stay, and the error names the file."""
    files = write(tmp_path, one="CREATE TABLE a (x int)", two="CREATE TABLE b (x int); SELECT 1 / 0")
    with pytest.raises(MigrationError, match=r"two\.sql: division by zero"):
        apply_migrations(empty, files)
    assert select(empty, "SELECT to_regclass('a')::text, to_regclass('b')::text") == [("a", None)]
    assert select(empty, "SELECT name FROM schema_migrations") == [("one",)]


def test_roles_are_created_once(migrated: Postgres) -> None:
    """Creating roles again changes nothing, and all of them log in by IAM."""
    master = psycopg2.connect(migrated.dsn("master", "mailwake"))
    create_roles(master)
    statement = """
        SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
        WHERE g.rolname = 'rds_iam' AND r.rolname LIKE 'mailwake%' GROUP BY 1 ORDER BY 1
    """
    assert [name for (name,) in select(master, statement)] == [
        *("mailwake_evaluator", "mailwake_loader", "mailwake_migrator", "mailwake_query")
    ]
    master.close()


FORBIDDEN = [
    ("mailwake_query", "INSERT INTO quarantine VALUES ('k', 1, 'p', 'r', 'i', now())"),
    ("mailwake_query", "DELETE FROM events"),
    ("mailwake_query", "SELECT create_events_partition(now())"),
    ("mailwake_query", "CREATE TABLE t (x int)"),
    ("mailwake_query", "CREATE TEMPORARY TABLE t (x int)"),
    ("mailwake_loader", "DELETE FROM events"),
    ("mailwake_loader", "UPDATE events SET recipient = ''"),
    ("mailwake_loader", "DELETE FROM batches"),
    ("mailwake_loader", "CREATE TABLE t (x int)"),
    ("mailwake_loader", "DROP TABLE events"),
    ("mailwake_loader", "SELECT * FROM schema_migrations"),
    ("mailwake_migrator", "CREATE ROLE another"),
]


@pytest.mark.parametrize(("role", "statement"), FORBIDDEN)
def test_roles_may_do_no_more_than_they_need(connect: Connect, role: str, statement: str) -> None:
    """The loader can't delete, the query function can't write, the migrator can't make roles."""
    with connect(role) as connection, connection.cursor() as cursor, pytest.raises(psycopg2.Error) as caught:
        cursor.execute(statement)
    assert caught.value.pgcode == "42501"  # insufficient_privilege


def test_no_other_role_gets_in(migrated: Postgres) -> None:
    """A role that is none of ours can't connect to the database."""
    with psycopg2.connect(migrated.dsn("postgres", "postgres")) as superuser, superuser.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    superuser.close()
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        psycopg2.connect(migrated.dsn("stranger", "mailwake"))
