"""A dry run: what a definition would have done over the last days, by all that is known now. Nothing of it stays."""

from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any, Final

import psycopg2.errors
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from cohort_evaluator import statements
from cohort_evaluator.conditions import COMPANY, USER, Cohort
from cohort_evaluator.judging import judge
from cohort_evaluator.registering import register_recipients
from cohort_evaluator.sources import Sources
from common.clock import format_instant
from common.events import Json

MOST_DAYS: Final = 90
# Everybody, from the beginning on, or since the first thing that is known of somebody.
FIND_SINCE: Final = """
INSERT INTO candidates
SELECT subject_id, greatest(min(at), %(begin)s) FROM (
    SELECT i.person_id AS subject_id, min(a.occurred_at) AS at
    FROM activities a JOIN identities i ON i.identity_id = a.identity_id WHERE NOT %(is_company)s GROUP BY 1
    UNION ALL
    SELECT a.company_id, min(a.occurred_at) FROM activities a
    WHERE a.company_id IS NOT NULL AND %(is_company)s GROUP BY 1
    UNION ALL
    SELECT p.company_id, min(a.occurred_at)
    FROM company_people p JOIN identities i USING (person_id) JOIN activities a USING (identity_id)
    WHERE a.company_id IS NULL AND %(is_company)s GROUP BY 1
    UNION ALL
    SELECT p.company_id, min(e.occurred_at)
    FROM company_people p JOIN identities i USING (person_id)
    JOIN events e ON e.recipient = i.value AND e.user_key IS NULL
    WHERE i.identity_type = 'address' AND %(is_company)s GROUP BY 1
    UNION ALL
    SELECT p.company_id, min(e.occurred_at)
    FROM company_people p JOIN identities i USING (person_id) JOIN events e ON e.user_key = i.content_key
    WHERE i.identity_type = 'user' AND %(is_company)s GROUP BY 1
    UNION ALL
    SELECT company_id, min(at) FROM trait_writes WHERE company_id IS NOT NULL AND %(is_company)s GROUP BY 1
    UNION ALL
    SELECT i.person_id, min(e.occurred_at) FROM events e
    JOIN identities i ON i.value = e.recipient AND i.identity_type = 'address'
    WHERE e.user_key IS NULL AND NOT %(is_company)s GROUP BY 1
    UNION ALL
    SELECT i.person_id, min(e.occurred_at) FROM events e JOIN identities i ON i.content_key = e.user_key
    WHERE NOT %(is_company)s GROUP BY 1
    UNION ALL
    SELECT i.person_id, min(w.at) FROM trait_writes w JOIN identities i USING (identity_id)
    WHERE (i.identity_type = 'company') = %(is_company)s GROUP BY 1) AS known
WHERE subject_id IS NOT NULL
GROUP BY subject_id HAVING min(at) <= %(instant)s
"""
# A day ends where the next one begins, counted back from the instant.
COUNT: Final = """
WITH turns AS (
    SELECT at, holds FROM (
        SELECT at, holds, lag(holds, 1, false) OVER (PARTITION BY subject_id ORDER BY round) AS before
        FROM verdicts) AS judged
    WHERE holds <> before
)
SELECT begins, begins + interval '1 day',
       count(*) FILTER (WHERE holds AND at >= begins AND at < begins + interval '1 day' AND at > %(begin)s),
       count(*) FILTER (WHERE NOT holds AND at >= begins AND at < begins + interval '1 day'),
       count(*) FILTER (WHERE holds AND at < begins + interval '1 day')
       - count(*) FILTER (WHERE NOT holds AND at < begins + interval '1 day')
FROM generate_series(%(begin)s::timestamptz, %(instant)s::timestamptz - interval '1 day', '1 day') AS begins
LEFT JOIN turns ON at < begins + interval '1 day'
GROUP BY begins ORDER BY begins
"""
NOW: Final = """
WITH last AS (SELECT DISTINCT ON (subject_id) subject_id, holds FROM verdicts ORDER BY subject_id, round DESC),
members AS (SELECT subject_id FROM memberships m JOIN cohorts c USING (cohort_id)
            WHERE c.name = %(name)s AND c.deleted_at IS NULL AND m.exited_at IS NULL)
SELECT count(*) FILTER (WHERE last.holds), (SELECT count(*) FROM members),
       count(*) FILTER (WHERE last.holds AND members.subject_id IS NULL),
       (SELECT count(*) FROM members) - count(*) FILTER (WHERE last.holds AND members.subject_id IS NOT NULL)
FROM last LEFT JOIN members USING (subject_id)
"""
COHORTS: Final = "SELECT name, cohort_id FROM cohorts WHERE deleted_at IS NULL"


class _TimedCursor(Cursor):
    """One whose statements have what is left of a time that they share."""

    def __init__(self, *given: Any, ends_at: float, **named: Any) -> None:
        super().__init__(*given, **named)
        self._ends_at = ends_at

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 (psycopg2's own)
        """As ever. Raises `psycopg2.errors.QueryCanceled` once the time is over."""
        left = int((self._ends_at - monotonic()) * 1000)
        if left <= 0:  # Postgres would take 0 for no limit
            raise psycopg2.errors.QueryCanceled("the time is over")
        with self.connection.cursor(cursor_factory=Cursor) as plain:
            plain.execute("SET LOCAL statement_timeout = %s", (left,))
        super().execute(query, vars)


def rehearse(connection: Connection, cohort: Cohort, instant: datetime, days: int, timeout: timedelta) -> Json:
    """Entries, exits and size of each of the last days, and who would enter and leave now.

    Cohorts that it asks for count by the memberships that were told. `timeout` is for all that is asked of the
    database. Raises `psycopg2.errors.QueryCanceled`.
    """
    connection.autocommit = False
    usual = connection.cursor_factory
    connection.cursor_factory = partial(_TimedCursor, ends_at=monotonic() + timeout.total_seconds())
    values: dict[str, Any] = {"instant": instant, "begin": instant - timedelta(days=days), "name": cohort.name}
    values["is_company"] = cohort.subject == COMPANY
    try:
        if cohort.subject == USER:
            register_recipients(connection)
        connection.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL jit = off")
            cursor.execute(statements.CREATE_JUDGING)
            cursor.execute(COHORTS)
            ids = dict(cursor.fetchall())
            cursor.execute(FIND_SINCE, values)
            judge(cursor, cohort.members, Sources(cohort.subject), instant, ids)
            cursor.execute(COUNT, values)
            shown = [_show_day(*row) for row in cursor.fetchall()]
            cursor.execute(NOW, values)
            ((would_be, are, enter, leave),) = cursor.fetchall()
    finally:
        connection.cursor_factory = usual
        if not connection.closed:
            connection.rollback()
            connection.set_session(isolation_level="DEFAULT")
    now = {"members": are, "would_be_members": would_be, "would_enter": enter, "would_leave": leave}
    return {"days": shown, "now": now}


def _show_day(begins: datetime, ends: datetime, entered: int, exited: int, size: int) -> Json:
    return {
        "from": format_instant(begins),
        "to": format_instant(ends),
        "entered": entered,
        "exited": exited,
        "size": size,
    }
