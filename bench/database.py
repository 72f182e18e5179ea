"""A Postgres of the benchmarks' own, set as the template sets it, with the schema as the deployment makes it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import psycopg2
from psycopg2 import sql

from local.postgres import SETTINGS, SUPERUSER, Postgres
from local.processes import ProcessGroup
from local.state import PROJECT
from local.template import load_template
from maintain_partitions.partitions import maintain_partitions
from migrate_database.files import list_migrations
from migrate_database.migrations import apply_migrations
from migrate_database.roles import create_roles

MASTER = "master"
DATABASE = "mailwake"
OWN_SETTINGS = {
    "shared_buffers": "512MB",
    "autovacuum": "off",  # measurements vacuum for themselves
}


def read_settings() -> dict[str, str]:
    """The settings of the template's parameter group, and ours."""
    template = load_template(PROJECT / "template.yaml")
    settings: dict[str, str] = {}
    for group in template.of_type("AWS::RDS::DBParameterGroup"):
        settings |= template.properties(group).get("Parameters") or {}
    return {**settings, **OWN_SETTINGS}


@contextmanager
def run_postgres(*guarded: Path) -> Iterator[Postgres]:
    """Start Postgres with an empty database, give it, stop it and delete its data; also when this process is killed.

    Then the `guarded` folders are deleted too.
    """
    processes = ProcessGroup()
    with tempfile.TemporaryDirectory(prefix="mailwake-bench-") as folder:
        for each in (Path(folder), *guarded):
            processes.guard_folder(each)
        server = Postgres(processes, directory=Path(folder), log=Path(folder, "log"), settings=read_settings())
        try:
            server.initialise(master=MASTER, database=DATABASE)
            yield server
        finally:
            server.close()
            processes.close()


def describe_settings() -> str:
    """What of the settings bears on speed."""
    settings = {**read_settings(), **SETTINGS}
    names = ("fsync", "full_page_writes", "wal_level", "max_wal_size", "shared_buffers", "autovacuum", "jit")
    return ", ".join(f"{name}={settings[name]}" for name in (*names, "random_page_cost"))


def create_schema(server: Postgres, begin: datetime, months: int) -> None:
    """Roles, migrations and the partitions of some months, as a deployment makes them."""
    with closing(psycopg2.connect(server.dsn(MASTER, DATABASE))) as connection:
        create_roles(connection)
    with closing(psycopg2.connect(server.dsn("mailwake_migrator", DATABASE))) as connection:
        apply_migrations(connection, list_migrations())
        maintain_partitions(connection, begin, premake_months=months - 1, retention_months=12)


def run_as_superuser(server: Postgres, *statements: sql.Composable, database: str = DATABASE) -> None:
    """Run statements outside a transaction, as VACUUM and CREATE DATABASE want it."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, database))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def copy_database(server: Postgres, name: str) -> None:
    """Make another database just like ours, which nobody may be connected to meanwhile."""
    names = sql.Identifier(name), sql.Identifier(DATABASE)
    run_as_superuser(server, sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names), database="postgres")


def drop_database(server: Postgres, name: str) -> None:
    """Remove such a copy."""
    run_as_superuser(server, sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)), database="postgres")


def read_version(server: Postgres) -> str:
    """The server's version, as in "18.1"."""
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection:
        return str(connection.info.parameter_status("server_version"))
