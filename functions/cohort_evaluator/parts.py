"""What a compiled condition is made of: CTEs, one row for each candidate at the end of each chain of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from pypika import PostgreSQLQuery as Query
from pypika import Table
from pypika.terms import LiteralValue, Term

from cohort_evaluator.sources import Sources, candidates
from cohort_evaluator.terms import Binder, Written

SHOWN_EVENTS: Final = 5  # of those that made a condition true
_SHOW: Final = f"""
SELECT subject_id, json_agg(json_build_object('event_key', key::text, 'occurred_at', occurred_at)
                            ORDER BY occurred_at DESC, key DESC) AS events
FROM (SELECT m.*, row_number() OVER (PARTITION BY subject_id ORDER BY occurred_at DESC, key DESC) AS nth
      FROM {{events}} m WHERE enters <= at AND leaves > at) AS inside
WHERE nth <= {SHOWN_EVENTS} GROUP BY 1
"""  # noqa: S608 (names of our own)


class Verdict(NamedTuple):
    """Whether a condition holds, and until when."""

    holds: Term  # never null
    until: Term  # never null


class Place(NamedTuple):
    """Where a condition stands in a definition, and the kind of the events that it looks at, if it does."""

    path: str
    kind: str = ""


class _Leaf(NamedTuple):
    """A condition that looks at data."""

    place: Place
    verdict: Verdict
    name: str  # of its CTE
    events: str | None  # the CTE of what matched


class Parts:
    """The CTEs of a statement, in their order, and the conditions that look at data.

    `earliest` is the first instant at which a candidate is judged; `cohorts` the ids of those that conditions ask for.
    """

    def __init__(self, sources: Sources, earliest: datetime, cohorts: Mapping[str, int]) -> None:
        self.binder = Binder()
        self.sources = sources
        self.earliest = earliest
        self.cohorts = cohorts
        self._parts: list[tuple[Any, str]] = []
        self._leaves: list[_Leaf] = []

    def add(self, query: Any, letter: str) -> Table:
        """A further CTE: e the events that may count, m those that match, l one row for each candidate."""
        name = f"{letter}{len(self._parts)}"
        self._parts.append((query, name))
        return Table(name)

    def keep(self, place: Place, leaf: Table, verdict: Verdict, events: Table | None = None) -> Verdict:
        """Notes what a condition has found, in a CTE with a row for each candidate (or none), and of which events."""
        name = events.get_table_name() if events is not None else None
        self._leaves.append(_Leaf(place, verdict, leaf.get_table_name(), name))
        return verdict

    def build(self, verdict: Verdict) -> str:
        """SQL of the verdicts: subject_id, at, holds, until."""
        query = self._join_leaves()
        return str(
            query.select(
                *(candidates.subject_id, candidates.at), verdict.holds.as_("holds"), verdict.until.as_("until")
            ).get_sql()
        )

    def build_causes(self) -> str:
        """SQL that gives subject_id and, as JSON, what each condition that looks at data found at the instant."""
        fields = []
        query = self._join_leaves()
        for number, leaf in enumerate(self._leaves):
            found = ""
            if leaf.place.kind and leaf.events:
                shown = Table(f"s{number}")
                query = query.with_(Written(_SHOW.format(events=leaf.events)), shown.get_table_name())
                query = query.left_join(shown).on(shown.subject_id == candidates.subject_id)
                found = f", 'kind', '{leaf.place.kind}', 'events', s{number}.events"
            holds = leaf.verdict.holds.get_sql(with_namespace=True, quote_char='"')
            fields.append(f"'{leaf.place.path}', json_strip_nulls(json_build_object('holds', {holds}{found}))")
        query = query.select(
            candidates.subject_id, LiteralValue(f"json_build_object({', '.join(fields)})").as_("cause")
        )
        return str(query.get_sql())

    def begin(self, people: Any = None) -> Any:
        """A query of the candidates, behind all CTEs; `people` are these where they are no table."""
        query: Any = Query.from_(candidates)
        if people is not None:
            query = query.with_(people, candidates.get_table_name())
        for name, periods in self.binder.shared.values():
            query = query.with_(periods, name)
        for part, name in self._parts:
            query = query.with_(part, name)
        return query

    def _join_leaves(self) -> Any:
        query = self.begin()
        for leaf in self._leaves:
            table = Table(leaf.name)
            query = query.left_join(table).on(table.subject_id == candidates.subject_id)
        return query
