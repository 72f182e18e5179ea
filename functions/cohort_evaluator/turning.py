"""Writes what judging a cohort's candidates has found: memberships, transitions with their causes, deadlines."""

from typing import Any, Final

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.compile import Compiled

# Those whose truth is another than it was, at each instant at which it has turned.
FIND_TURNS: Final = """
INSERT INTO turns
SELECT subject_id, row_number() OVER of_subject, CASE WHEN holds THEN 'entered' ELSE 'exited' END, at,
       lead(at) OVER of_subject
FROM (SELECT v.subject_id, v.round, v.at, v.holds,
             lag(v.holds, 1, m.subject_id IS NOT NULL) OVER (PARTITION BY v.subject_id ORDER BY v.at) AS before
      FROM verdicts v
      LEFT JOIN {members} m ON m.cohort_id = %(cohort)s AND m.subject_id = v.subject_id AND {is_member}) AS judged
WHERE holds <> before
WINDOW of_subject AS (PARTITION BY subject_id ORDER BY at)
"""
END_MEMBERSHIPS: Final = """
UPDATE memberships m SET exited_at = t.at FROM turns t
WHERE m.cohort_id = %(cohort)s AND m.subject_id = t.subject_id AND m.exited_at IS NULL
  AND t.nth = 1 AND t.kind = 'exited'
"""
BEGIN_MEMBERSHIPS: Final = """
INSERT INTO memberships (cohort_id, subject_id, entered_at, exited_at)
SELECT %(cohort)s, subject_id, at, next_at FROM turns WHERE kind = 'entered'
"""
# One that is known stays if it is not late: to be early costs less than to be moved each time.
SAVE_DEADLINES: Final = """
WITH last AS (
    SELECT DISTINCT ON (subject_id) subject_id, until FROM verdicts ORDER BY subject_id, at DESC
), over AS (
    DELETE FROM deadlines d USING last
    WHERE d.cohort_id = %(cohort)s AND d.subject_id = last.subject_id AND d.at <= %(instant)s AND until = 'infinity'
)
INSERT INTO deadlines
SELECT %(cohort)s, last.subject_id, last.until
FROM last LEFT JOIN deadlines d ON d.cohort_id = %(cohort)s AND d.subject_id = last.subject_id
WHERE last.until < 'infinity' AND (d.at IS NULL OR d.at > last.until OR d.at <= %(instant)s)
ON CONFLICT (cohort_id, subject_id) DO UPDATE SET at = excluded.at
"""
TURNS: Final = "SELECT DISTINCT nth FROM turns ORDER BY nth"
FIND_TURNED: Final = """
TRUNCATE candidates;
INSERT INTO candidates SELECT subject_id, at FROM turns WHERE nth = %(nth)s;
ANALYZE candidates
"""
SAVE_TRANSITIONS: Final = """
INSERT INTO transitions (cohort_id, version, subject_id, kind, at, told_at, cause)
SELECT %(cohort)s, %(version)s, t.subject_id, t.kind, t.at, %(instant)s, {cause}
FROM turns t {causes} WHERE t.nth = %(nth)s ORDER BY t.at, t.subject_id
"""
TELL: Final = "INSERT INTO told SELECT %(cohort)s, subject_id, min(at) FROM turns GROUP BY subject_id"
CLEAR: Final = "TRUNCATE candidates, verdicts, turns"
SWITCHED_ON: Final = "jsonb_build_object('switched_on', %(version)s)"

# Those who leave without having been judged.
END_SUPERSEDED: Final = """
INSERT INTO turns
SELECT m.subject_id, 1, 'exited', greatest(%(instant)s, m.entered_at), NULL
FROM memberships m JOIN superseded s USING (subject_id) WHERE m.cohort_id = %(cohort)s AND m.exited_at IS NULL
"""
END_ALL: Final = """
INSERT INTO turns
SELECT subject_id, 1, 'exited', greatest(%(instant)s, entered_at), NULL
FROM memberships WHERE cohort_id = %(cohort)s AND exited_at IS NULL
"""


def save_verdicts(cursor: Cursor, values: dict[str, Any], compiled: Compiled | None, known: str) -> int:
    """Writes what follows from `verdicts`; how many transitions.

    The causes are told by the compiled condition; by None that the version was switched on. `known` is the table of
    what was told of all who were judged; none where it is that of all memberships.
    """
    members, is_member = (known, "m.is_member") if known else ("memberships", "m.exited_at IS NULL")
    cursor.execute(FIND_TURNS.format(members=members, is_member=is_member), values)
    turned = cursor.rowcount
    cursor.execute(SAVE_DEADLINES, values)
    if turned:
        cursor.execute(END_MEMBERSHIPS, values)
        cursor.execute(BEGIN_MEMBERSHIPS, values)
        cursor.execute(TELL, values)
        _save_transitions(cursor, values, compiled)
    cursor.execute(CLEAR)
    return turned


def _save_transitions(cursor: Cursor, values: dict[str, Any], compiled: Compiled | None) -> None:
    if compiled is None:
        cause, causes, found = SWITCHED_ON, "", {}
    else:
        cause, found = "found.cause", compiled.values
        causes = f"JOIN ({compiled.build_causes()}) AS found ON found.subject_id = t.subject_id"
    statement = SAVE_TRANSITIONS.format(cause=cause, causes=causes)
    cursor.execute(TURNS)
    for (nth,) in cursor.fetchall():
        cursor.execute(FIND_TURNED, {"nth": nth})
        cursor.execute(statement, {**values, **found, "nth": nth})


def let_leave(cursor: Cursor, statement: str, values: dict[str, Any], cause: str) -> int:
    """Lets those leave whom a statement names, with a cause in JSON; how many."""
    cursor.execute(statement, values)
    turned = cursor.rowcount
    if turned:
        cursor.execute(END_MEMBERSHIPS, values)
        cursor.execute(TELL, values)
        sql = SAVE_TRANSITIONS.format(cause="%(cause)s::jsonb", causes="")
        cursor.execute(sql, {**values, "nth": 1, "cause": cause})
        cursor.execute(CLEAR)
    return turned
