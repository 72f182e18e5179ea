"""Partitions of events: made ahead of time, dropped past the retention."""

from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg2 import sql
from psycopg2.extensions import connection as Connection

from common.figures import LOOK_BACK
from common.retention import find_retention_start, start_month, start_week

WEEK = timedelta(weeks=1)
LIST_WEEKS = """
SELECT partition, starts_at FROM activities_partitions UNION ALL SELECT partition, starts_at FROM samples_partitions
ORDER BY starts_at, partition
"""
LIST_PARTITIONS = "SELECT partition, starts_at FROM events_partitions ORDER BY starts_at"
# Once the events of the hours before %(end)s are gone. What later ones count as may have depended on them, as far as
# common/figures.py looks back.
DROP_SUMMARIES = """
DELETE FROM summaries WHERE hour < %(end)s;
DELETE FROM stale_hours WHERE hour < %(end)s;
INSERT INTO stale_hours SELECT hour FROM summaries WHERE hour <= %(end)s + %(look_back)s
"""
# What no event points at any more.
DELETE_UNUSED_MAILINGS = """
DELETE FROM mailings WHERE NOT EXISTS (SELECT FROM events WHERE events.mailing_key = mailings.mailing_key)
"""


class Maintenance(NamedTuple):
    """What a run did."""

    dropped: list[str]
    deleted_mailings: int


def maintain_partitions(
    connection: Connection,
    instant: datetime,
    *,
    premake_months: int,
    retention_months: int,
    activity_retention_weeks: int = 53,
) -> Maintenance:
    """Makes the partitions of this month and the next ones, drops those that are older than the retention.

    Activities' and samples' are weeks: this and the next are made, further ones by the loader where one is needed.
    """
    dropped_weeks = _keep_weeks(connection, instant, activity_retention_weeks)
    with connection, connection.cursor() as cursor:
        for months in range(premake_months + 1):
            cursor.execute("SELECT create_events_partition(%s)", (start_month(instant, months),))
    oldest = find_retention_start(instant, retention_months)
    with connection, connection.cursor() as cursor:
        cursor.execute(LIST_PARTITIONS)
        expired = [(partition, starts_at) for partition, starts_at in cursor.fetchall() if starts_at < oldest]
    for partition, starts_at in expired:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(partition)))
            cursor.execute(DROP_SUMMARIES, {"end": start_month(starts_at, 1), "look_back": LOOK_BACK})
    dropped = [partition for partition, _ in expired]
    return Maintenance(dropped_weeks + dropped, _delete_unused(connection) if expired else 0)


def _keep_weeks(connection: Connection, instant: datetime, retention_weeks: int) -> list[str]:
    """Makes the weekly partitions of this week and the next one, drops those before the retention."""
    with connection, connection.cursor() as cursor:
        for weeks in (0, 1):
            monday = start_week(instant, weeks)
            cursor.execute("SELECT create_activities_partition(%s), create_samples_partition(%s)", (monday, monday))
    oldest = start_week(instant, -retention_weeks)
    with connection, connection.cursor() as cursor:
        cursor.execute(LIST_WEEKS)
        expired = [(partition, starts_at) for partition, starts_at in cursor.fetchall() if starts_at < oldest]
    for partition, starts_at in expired:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(partition)))
            if partition.startswith("activities_"):
                cursor.execute("SELECT forget_usage(%s)", (starts_at + WEEK,))
    return [partition for partition, _ in expired]


def _delete_unused(connection: Connection) -> int:
    """Deletes the mailings whose events were dropped; the other dimensions stay small by themselves.

    Loads wait meanwhile: one could be about to point at such a mailing, and is told to forget what it remembers. It is
    told after the deletion: who sees the new number inserts what is deleted once more, as soon as we are done.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE ONLY events IN SHARE MODE")
        cursor.execute(DELETE_UNUSED_MAILINGS)
        deleted = cursor.rowcount
        cursor.execute("SELECT nextval('dimensions_generation')")
        return deleted
