"""Bytes an event in the database: tables with what they keep beside themselves (TOAST, maps), and indexes."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from psycopg2 import sql

from bench.database import DATABASE, run_as_superuser
from bench.figures import Figure, Target
from bench.progress import say
from local.postgres import SUPERUSER, Postgres

TARGET = Target(most=500)
SHOWN = 0.5  # bytes; smaller parts are added up

# Partitions count under their parent's name, and so do their indexes.
FIND_SIZES = """
SELECT coalesce(parent.relname, own.relname), own.relkind, sum(pg_table_size(own.oid))
FROM pg_class own
LEFT JOIN pg_inherits link ON link.inhrelid = own.oid
LEFT JOIN pg_class parent ON parent.oid = link.inhparent
WHERE own.relnamespace = 'public'::regnamespace AND own.relkind IN ('r', 'i')
GROUP BY 1, 2
ORDER BY 3 DESC
"""


def measure_size(server: Postgres, events: int) -> list[Figure]:
    """Everything in the schema, over the number of events; but `changes`, which the evaluator takes each minute."""
    run_as_superuser(server, sql.SQL("DELETE FROM changes"))
    vacuum(server)
    with closing(psycopg2.connect(server.dsn(SUPERUSER, DATABASE))) as connection, connection.cursor() as cursor:
        cursor.execute(FIND_SIZES)
        sizes = [(name, kind == "i", int(size) / events) for name, kind, size in cursor.fetchall()]
    total = sum(size for _, _, size in sizes)
    large = [entry for entry in sizes if entry[2] >= SHOWN]
    figures = [
        Figure(name="size, all in", measured=f"{total:.1f} bytes an event", value=total, target=TARGET),
        *(
            Figure(name=f"  {'index' if index else 'table'} {name}", measured=f"{size:.1f}")
            for name, index, size in large
        ),
    ]
    if rest := [size for _, _, size in sizes if size < SHOWN]:
        figures.append(Figure(name=f"  {len(rest)} smaller ones", measured=f"{sum(rest):.1f}"))
    return figures


def vacuum(server: Postgres) -> None:
    """What autovacuum does in time: statistics for the planner, and maps of what is visible."""
    say("VACUUM ANALYZE")
    run_as_superuser(server, sql.SQL("VACUUM (ANALYZE)"))
