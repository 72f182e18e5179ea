"""Applies the migrations that a database does not have yet, each in a transaction of its own."""

from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection

CREATE_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
LOCK = "SELECT pg_advisory_xact_lock(hashtext('schema_migrations'))"


class MigrationError(Exception):
    """A migration was refused; the database is as it was before it."""


def apply_migrations(connection: Connection, files: list[Path]) -> list[str]:
    """The names of the migrations that were applied now, in order. Raises `MigrationError`."""
    applied = []
    for file in files:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(LOCK)
                cursor.execute(CREATE_TABLE)
                cursor.execute("INSERT INTO schema_migrations (name) VALUES (%s) ON CONFLICT DO NOTHING", (file.stem,))
                if cursor.rowcount:
                    cursor.execute(file.read_text(encoding="utf-8"))
                    applied.append(file.stem)
        except psycopg2.Error as failure:
            raise MigrationError(f"{file.name}: {failure.diag.message_primary or type(failure).__name__}") from failure
    return applied
