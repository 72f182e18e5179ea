"""Cohorts as the database has them, those that others ask for before these."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.conditions import Cohort, find_references
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.reading import DefinitionError
from common.json_text import decode_json

COHORTS: Final = """
SELECT c.cohort_id, c.name, c.version, c.wanted, c.deleted_at IS NOT NULL, now.switched_on_at, now.known_to,
       v.definition::text
FROM cohorts c
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = c.wanted
LEFT JOIN cohort_versions now ON now.cohort_id = c.cohort_id AND now.version = c.version
ORDER BY c.cohort_id
"""


class Saved(NamedTuple):
    """A cohort."""

    cohort_id: int
    name: str
    version: int | None  # in force
    wanted: int
    is_deleted: bool
    switched_on_at: datetime | None  # the version in force
    known_to: int | None  # the largest identity_id then
    cohort: Cohort | None  # the wanted version; None where it can't be read
    error: str


def read_saved(cursor: Cursor) -> list[Saved]:
    """All of them."""
    cursor.execute(COHORTS)
    return [_read(row) for row in cursor.fetchall()]


def _read(row: tuple[Any, ...]) -> Saved:
    *columns, definition = row
    try:
        return Saved._make((*columns, read_cohort(decode_json(definition.encode())), ""))
    except DefinitionError as failure:
        return Saved._make((*columns, None, str(failure)))


def sort_saved(saved: Sequence[Saved], ids: Mapping[str, int]) -> list[Saved]:
    """Cohorts behind those that they ask for. Those in a circle come last, and fail."""
    by_id = {each.cohort_id: each for each in saved}
    graph = {
        each.cohort_id: {
            ids[name] for name in (find_references(each.cohort.members) if each.cohort else ()) if name in ids
        }
        for each in saved
    }
    circles: list[Saved] = []
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
        except CycleError as failure:
            circle = failure.args[1]
            names = " → ".join(by_id[one].name for one in circle)
            for one in set(circle):
                graph.pop(one)
                reason = f"cohorts ask for each other: {names}"
                circles.append(by_id[one]._replace(error=reason))
            for needed in graph.values():
                needed.difference_update(circle)
        else:
            return [by_id[one] for one in order] + circles
