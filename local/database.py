"""What the local stack does to the database itself: emptying it, and counting for the demonstration."""

from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

# All tables of ours but the list of applied migrations; a partition goes with its parent.
FIND_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname <> 'schema_migrations'
ORDER BY c.relname
"""

# What the loader itself says about all batches so far.
COUNT_BATCHES = """
SELECT count(*), coalesce(sum(event_count), 0), coalesce(sum(duplicate_count), 0), coalesce(sum(quarantine_count), 0)
FROM batches
"""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What is in the database."""

    batches: int
    events: int  # rows, each event once
    parsed: int  # events in all batches, again if they came again
    duplicates: int
    quarantined: int


def empty_tables(connection: Any) -> None:
    """Empties every table, as if nothing had ever been loaded; the schema stays."""
    with connection, connection.cursor() as cursor:
        cursor.execute(FIND_TABLES)
        tables = [sql.Identifier(name) for (name,) in cursor.fetchall()]
        cursor.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(sql.SQL(", ").join(tables)))


def count_rows(connection: Any) -> Counts:
    """Counts what is loaded."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events")
        (events,) = cursor.fetchone()
        cursor.execute(COUNT_BATCHES)
        batches, parsed, duplicates, quarantined = cursor.fetchone()
    return Counts(
        batches=int(batches),
        events=int(events),
        parsed=int(parsed),
        duplicates=int(duplicates),
        quarantined=int(quarantined),
    )
