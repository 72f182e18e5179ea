"""The counts of each hour: announced, counted, and counted again where loaders say that they changed.

1. Hours that are over are announced: from then on a loader that changes them leaves a mark in `stale_hours`.
2. Loads that began before are waited for: they may not know.
3. Each day's hours that are announced or marked are counted in a transaction of its own, which sees one state of the
   database, and deletes the marks that it saw. A mark that is set meanwhile stays.

Whoever asks takes the hours that are ready and have no mark from here, all others from the events.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg2 import errors
from psycopg2.extensions import ISOLATION_LEVEL_DEFAULT, ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection

from common.figures import SKEW, build_counted

HOUR = timedelta(hours=1)
REST = 2 * HOUR  # what arrives within it is no late event, and costs the loader nothing

ONLY_ONE = "SELECT pg_try_advisory_lock(hashtext('summaries'))"
RELEASE = "SELECT pg_advisory_unlock(hashtext('summaries'))"
# From the first event on without a gap, so that an hour without events is known to have none.
ANNOUNCE = """
INSERT INTO summaries (hour)
SELECT hour FROM generate_series(
    date_trunc('hour', (SELECT min(occurred_at) FROM events)), %s::timestamptz - interval '1 hour', '1 hour') AS hour
ON CONFLICT DO NOTHING
"""
# Granted once every transaction that has written events is over; maintenance waits for loaders in the same way.
AWAIT_LOADS = "LOCK TABLE ONLY events IN SHARE MODE"
FORGET_OLD_MARKS = "DELETE FROM stale_hours WHERE hour < (SELECT min(hour) FROM summaries)"
FIND_DAY = """
SELECT hour FROM summaries WHERE (NOT ready OR hour IN (SELECT hour FROM stale_hours)) AND hour >= (
    SELECT date_trunc('day', max(hour)) FROM summaries WHERE NOT ready OR hour IN (SELECT hour FROM stale_hours))
"""
SUMMARISE = f"""
WITH spans AS MATERIALIZED (
    SELECT hour AS low, hour + interval '1 hour' AS high FROM unnest(%(hours)s::timestamptz[]) AS hour
),
{build_counted()},
shared AS MATERIALIZED (  -- what many events share is looked up once for all of them
    SELECT date_trunc('hour', occurred_at) AS hour, provider, mailing_key, receiver_key, figure, count(*) AS times
    FROM counted GROUP BY 1, 2, 3, 4, 5
),
named AS MATERIALIZED (
    SELECT s.hour, ARRAY[s.provider, m.campaign, m.template] AS words, ARRAY[r.domain] AS domains, s.figure,
           sum(s.times)::int AS times
    FROM shared s
    LEFT JOIN mailings m ON m.mailing_key = s.mailing_key
    LEFT JOIN receivers r ON r.receiver_key = s.receiver_key
    GROUP BY 1, 2, 3, 4
),
new_mailings AS (
    INSERT INTO summary_mailings (provider, campaign, template)
    SELECT words[1], words[2], words[3] FROM (
        SELECT words FROM named EXCEPT SELECT ARRAY[provider, campaign, template] FROM summary_mailings
    ) AS missing
    RETURNING mailing_id, ARRAY[provider, campaign, template] AS words
),
new_domains AS (
    INSERT INTO summary_domains (domain)
    SELECT domains[1] FROM (SELECT domains FROM named EXCEPT SELECT ARRAY[domain] FROM summary_domains) AS missing
    RETURNING domain_id, ARRAY[domain] AS domains
),
keyed AS MATERIALIZED (
    SELECT named.hour, mailing_id, domain_id, figure, times
    FROM named
    JOIN (SELECT * FROM new_mailings
          UNION ALL SELECT mailing_id, ARRAY[provider, campaign, template] FROM summary_mailings) AS m USING (words)
    JOIN (SELECT * FROM new_domains UNION ALL SELECT domain_id, ARRAY[domain] FROM summary_domains) AS d USING (domains)
),
packed AS (
    SELECT hour, array_agg(mailing_id ORDER BY mailing_id, domain_id, figure) AS mailings,
           array_agg(domain_id ORDER BY mailing_id, domain_id, figure) AS domains,
           array_agg(figure ORDER BY mailing_id, domain_id, figure) AS figures,
           array_agg(times ORDER BY mailing_id, domain_id, figure) AS counts
    FROM keyed GROUP BY hour
),
totals AS (
    SELECT hour, array_agg(mailing_id ORDER BY mailing_id, figure) AS mailings,
           array_agg(figure ORDER BY mailing_id, figure) AS figures,
           array_agg(times ORDER BY mailing_id, figure) AS counts
    FROM (SELECT hour, mailing_id, figure, sum(times)::int AS times FROM keyed GROUP BY 1, 2, 3) AS added
    GROUP BY hour
)
UPDATE summaries SET ready = true, mailings = packed.mailings, domains = packed.domains, figures = packed.figures,
    counts = packed.counts, total_mailings = totals.mailings, total_figures = totals.figures,
    total_counts = totals.counts
FROM spans LEFT JOIN packed ON packed.hour = spans.low LEFT JOIN totals ON totals.hour = spans.low
WHERE summaries.hour = spans.low
"""
# In the same transaction, which sees the marks that were there when it counted, and no others.
DELETE_MARKS = "DELETE FROM stale_hours WHERE hour = ANY(%(hours)s::timestamptz[])"


class Steps(NamedTuple):
    """The statements that announce and count the hours of one table."""

    announce: str
    await_loads: str
    forget_old_marks: str
    find_day: str
    summarise: str
    delete_marks: str


EVENTS = Steps(ANNOUNCE, AWAIT_LOADS, FORGET_OLD_MARKS, FIND_DAY, SUMMARISE, DELETE_MARKS)


class Summarised(NamedTuple):
    """What a run did."""

    announced: int = 0
    counted: int = 0  # hours
    finished: bool = False  # nothing is left to count


def summarise_hours(
    connection: Connection, instant: datetime, may_go_on: Callable[[], bool], steps: Steps = EVENTS
) -> Summarised:
    """Announces the hours that are over, and counts day after day, the newest first, while it may go on.

    Does nothing where another run is at work. Raises `psycopg2.Error`; the days counted by then stay.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(ONLY_ONE)
        if not cursor.fetchall()[0][0]:
            return Summarised()
    try:
        announced = _announce(connection, instant, steps)
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
        counted = 0
        while may_go_on():
            try:
                hours = _count_day(connection, steps)
            except errors.SerializationFailure:  # a month was dropped meanwhile
                continue
            if not hours:
                return Summarised(announced, counted, finished=True)
            counted += hours
        return Summarised(announced, counted)
    finally:
        if not connection.closed:
            connection.rollback()
            connection.set_session(isolation_level=ISOLATION_LEVEL_DEFAULT)
            with connection, connection.cursor() as cursor:
                cursor.execute(RELEASE)


def find_end(instant: datetime) -> datetime:
    """The end of the last hour that is over for so long that what it counts as seldom changes."""
    return (instant - REST - SKEW).replace(minute=0, second=0, microsecond=0)


def _announce(connection: Connection, instant: datetime, steps: Steps) -> int:
    with connection, connection.cursor() as cursor:
        cursor.execute(steps.announce, (find_end(instant),))
        announced = cursor.rowcount
    with connection, connection.cursor() as cursor:
        cursor.execute(steps.await_loads)
    with connection, connection.cursor() as cursor:
        cursor.execute(steps.forget_old_marks)
    return announced


def _count_day(connection: Connection, steps: Steps) -> int:
    """Counts what is to be counted of the last day that has such hours; how many they were."""
    with connection, connection.cursor() as cursor:
        cursor.execute(steps.find_day)
        hours = [hour for (hour,) in cursor.fetchall()]
        if hours:
            cursor.execute(steps.summarise, {"hours": hours})
            cursor.execute(steps.delete_marks, {"hours": hours})
    return len(hours)
