"""Judges candidates from an instant of each on, up to the same instant for all.

Each is judged at its instant, then at the next one that the statement names, and so on: each a round, for all of them
at once.
"""

from collections.abc import Mapping
from datetime import datetime

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator import statements
from cohort_evaluator.compile import compile_condition
from cohort_evaluator.conditions import Condition
from cohort_evaluator.sources import Sources


def judge(cursor: Cursor, condition: Condition, sources: Sources, instant: datetime, cohorts: Mapping[str, int]) -> int:
    """Empties `candidates` (subject_id, at) into `verdicts` (round, subject_id, at, holds, until); how many there were.

    `cohorts`: the ids of those that conditions may ask for.
    """
    judged = number = 0
    while True:
        cursor.execute("ANALYZE candidates")
        cursor.execute(statements.EARLIEST)
        ((earliest, count),) = cursor.fetchall()
        judged = judged or count
        if not count:
            return judged
        compiled = compile_condition(condition, sources, earliest, cohorts)
        cursor.execute(statements.JUDGE.format(round=number, query=compiled.sql), compiled.values)
        cursor.execute(statements.GO_ON, {"instant": instant, "round": number})
        if not cursor.rowcount:
            return judged
        number += 1
