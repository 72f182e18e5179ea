"""Judges candidates from an instant of each on, up to the same instant for all.

Each is judged at its instant, then at the next one that the statement names, and so on: each a round, for all of them
at once.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator import statements
from cohort_evaluator.compile import Compiled, compile_condition
from cohort_evaluator.conditions import Condition
from cohort_evaluator.sources import Sources

REUSED: Final = timedelta(hours=1)  # a statement for an instant does for later ones, but reads more than they need


def judge(
    cursor: Cursor, condition: Condition, sources: Sources, instant: datetime, cohorts: Mapping[str, int]
) -> tuple[int, Compiled | None]:
    """Empties `candidates` (subject_id, at) into `verdicts` (round, subject_id, at, holds, until).

    Returns how many there were, and the statement, which does for each of their instants; None where there were none.
    `cohorts`: the ids of those that conditions may ask for.
    """
    judged = number = 0
    first = compiled = compiled_for = None
    while True:
        cursor.execute(statements.EARLIEST)
        ((earliest, count),) = cursor.fetchall()
        if not count:
            return judged, first
        if compiled is None or compiled_for is None or not compiled_for <= earliest <= compiled_for + REUSED:
            compiled, compiled_for = compile_condition(condition, sources, earliest, cohorts), earliest
        judged, first = judged or count, first or compiled
        cursor.execute(statements.JUDGE.format(round=number, query=compiled.sql), compiled.values)
        cursor.execute(statements.GO_ON, {"instant": instant, "round": number})
        if not cursor.rowcount:
            return judged, first
        number += 1
