"""What all cohorts of a tick look at, read once: their candidates' events, what of them is new, and what was told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg2.extensions import cursor as Cursor
from pypika import Table

from cohort_evaluator.conditions import ACTIVITIES, COMPANY, MAIL, USER
from cohort_evaluator.news import FIND_NEWS
from cohort_evaluator.saved import Saved
from cohort_evaluator.sources import Sources, list_columns
from cohort_evaluator.terms import Binder

# All candidates of the tick's cohorts of one kind of subjects, each with the first instant at which it may be judged.
FIND_ALL: Final = """
CREATE TEMPORARY TABLE subjects_{name} ON COMMIT DROP AS
SELECT subject_id, min(found.at) AS at FROM (
    SELECT subject_id, since AS at FROM touched
    WHERE is_company = %(is_company)s AND (since <= %(instant)s OR is_linked)
    UNION ALL SELECT d.subject_id, d.at FROM deadlines d WHERE d.at <= %(instant)s AND d.cohort_id = ANY (%(cohorts)s)
    UNION ALL SELECT m.subject_id, m.since FROM missed m
        WHERE m.since <= %(instant)s AND m.cohort_id = ANY (%(cohorts)s)) AS found
JOIN identities i ON i.identity_id = found.subject_id AND i.person_id = i.identity_id
GROUP BY 1;
ANALYZE subjects_{name}
"""
# Who the candidates' people are: the planner knows too little of the view to begin with few companies.
FIND_PEOPLE: Final = """
CREATE TEMPORARY TABLE people_company ON COMMIT DROP AS
SELECT company_id, person_id FROM subjects_company JOIN company_people ON company_id = subject_id;
ANALYZE people_company
"""
# Side by side what one subject did: most cohorts look at few of the subjects, the others at all that there is.
GATHER: Final = """
CREATE TEMPORARY TABLE seen_{name} ON COMMIT DROP AS
SELECT {columns} FROM ({query}) AS gathered ORDER BY subject_id, occurred_at;
CREATE INDEX ON seen_{name} (subject_id, occurred_at);
ANALYZE seen_{name} (subject_id, occurred_at, {kind})
"""
# What was told of each: the last instant, as nothing before it changes, and whether it is a member.
FIND_KNOWN: Final = """
CREATE TEMPORARY TABLE known_{name} ON COMMIT DROP AS
SELECT m.cohort_id, m.subject_id, max(greatest(m.entered_at, m.exited_at)) AS at,
       bool_or(m.exited_at IS NULL) AS is_member
FROM subjects_{name} s JOIN memberships m USING (subject_id) GROUP BY 1, 2 ORDER BY 1, 2;
CREATE UNIQUE INDEX ON known_{name} (cohort_id, subject_id);
ANALYZE known_{name}
"""


def gather(cursor: Cursor, saved: Sequence[Saved], instant: datetime, since: datetime) -> None:
    """Reads it into temporary tables: events since an instant, as far back as most conditions reach."""
    for subject in (USER, COMPANY):
        cohorts = [each.cohort_id for each in saved if each.cohort and each.cohort.subject == subject]
        if not cohorts:
            continue
        values = {"is_company": subject == COMPANY, "instant": instant, "cohorts": cohorts, "gathered_since": since}
        cursor.execute(FIND_ALL.format(name=subject), values)
        cursor.execute(FIND_KNOWN.format(name=subject))
        if subject == COMPANY:
            cursor.execute(FIND_PEOPLE)
        sources = Sources(subject, people="people_company")
        for kind, name, key in ((MAIL, "mails", "kind_key"), (ACTIVITIES[0], "activities", "operation_id")):
            binder = Binder()
            query = sources.read_tables(kind, since, binder, Table(f"subjects_{subject}"))
            columns = ", ".join(list_columns(kind))
            cursor.execute(
                GATHER.format(name=f"{name}_{subject}", columns=columns, query=query, kind=key), binder.values
            )
        cursor.execute(FIND_NEWS.format(name=subject), values)
