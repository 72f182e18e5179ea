"""The search for events: from parameters to a page."""

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import now
from common.events import Event
from query_events.given import recognise
from query_events.pages import Cursor
from query_events.parameters import DEFAULT_PAGE, PARAMETERS
from query_events.rows import EventReader
from query_events.search_queries import (
    Uses,
    build_count_query,
    build_gather_query,
    build_newer_query,
    build_page_query,
    build_stream_query,
    build_walk_query,
)
from query_events.shared_keys import SHARED, Keys, Shape, Use, are_findable, find_keys, matches_nothing

DEFAULT_AGE = timedelta(hours=24)
DEFAULT_LAG = timedelta(minutes=1)  # what came in the last minute is left out unless asked for
REACH: Final = 20_000  # events that are walked through where nobody counts how many match
ENOUGH: Final = 2_000  # events that are gathered before it is asked where they lie
# The months that a short range touches are so many times as long. An index of keys leads to all of their events: there
# gathering and counting take long, and a walk is tried first.
SHORT: Final = 8
ENOUGH_IN_SHORT, REACH_IN_SHORT = 500, 5_000
STREAM_CHUNK: Final = 2_000  # events that are in memory at once

_reader = EventReader()


class Page(NamedTuple):
    """Events, newest first, and the cursor behind each; `total` is how many match in all, None if not counted."""

    events: list[Event]
    keys: list[tuple[datetime, int]]
    total: int | None
    more: bool


def complete_range(values: dict[str, object], instant: datetime) -> None:
    """Puts in the range that is searched where none is given: the last day, or the day before `to`."""
    last = cast("datetime", values.get("to", instant))
    values.setdefault("from", min(instant, last) - DEFAULT_AGE)
    values.setdefault("to", instant - DEFAULT_LAG)


def search_events(connection: Connection, values: Mapping[str, object], cursor: Cursor | None, offset: int = 0) -> Page:
    """One page of what matches; `values` are those of `read_parameters`, with the range.

    A page begins behind the cursor, or after `offset` events. A cursor knows the total; else it is counted, unless
    `values` say that nobody wants it.
    """
    begin, end = cast("datetime", values["from"]), cast("datetime", values["to"])
    if cursor is not None:
        # Else Postgres would read the index from the range's end on, as far as the cursor.
        end = min(end - timedelta.resolution, cursor.occurred_at) + timedelta.resolution
    shapes, bound = _bind({**values, "to": end})
    size = cast("int", values.get("per_page", DEFAULT_PAGE))
    bound |= {"limit": size + 1, "offset": offset}
    if cursor is not None:
        bound |= {"cursor_time": cursor.occurred_at, "cursor_key": cursor.event_key}
    counted = values.get("total") != "none"
    with connection.cursor() as database:
        keys = find_keys(database, shapes, bound, counted=counted)
        if matches_nothing(keys):
            return Page([], [], cursor.total if cursor else 0, more=False)
        bound |= {each.name: each.bound for each in keys}
        rows, total = _Search(database, shapes, keys, bound, cursor, counted, (begin, end)).find()
        more = len(rows) > size
        del rows[size:]
        found = _reader.read(database, rows)
    return Page(found, [(row[0], row[1]) for row in rows], total, more)


def stream_events(connection: Connection, values: Mapping[str, object]) -> Iterator[Page]:
    """All that matches, newest first, as it was when the statement began; chunks of a stream in place of pages.

    The connection must not be in autocommit. Rows are fetched as they are wanted, however many there are.
    """
    shapes, bound = _bind(values)
    with connection.cursor() as database, connection.cursor(name="stream") as stream:
        keys = find_keys(database, shapes, bound)
        if matches_nothing(keys):
            return
        bound |= {each.name: each.bound for each in keys}
        stream.execute(build_stream_query(shapes, tuple((each.name, each.page_use) for each in keys)), bound)
        while rows := stream.fetchmany(STREAM_CHUNK):
            yield Page(_reader.read(database, rows), [(row[0], row[1]) for row in rows], None, more=True)


class _Search(NamedTuple):
    """A search whose keys are found."""

    database: DatabaseCursor
    shapes: tuple[Shape, ...]
    keys: list[Keys]
    bound: dict[str, object]
    cursor: Cursor | None
    counted: bool
    range: tuple[datetime, datetime]

    def find(self) -> tuple[list[tuple[Any, ...]], int | None]:
        """The rows of the page and one more if there is one, and how many match in all if that is wanted or known."""
        uses = tuple((each.name, each.page_use) for each in self.keys)
        if any(use is Use.INDEX for _, use in uses) or any(map(_has_beginnings, self.shapes)):
            return self._find_by_index(uses)
        rows = self._run(build_page_query, uses)
        if self.cursor is not None:
            return rows, self.cursor.total
        offset = cast("int", self.bound["offset"])
        if len(rows) == self._limit or (offset and not rows):
            return rows, self._count(rows)
        return rows, offset + len(rows)

    def _find_by_index(self, uses: Uses) -> tuple[list[tuple[Any, ...]], int | None]:
        """As `find`. Few events are gathered and sorted; the newest of many are probably among the newest of all."""
        short = self._ratio > SHORT
        self.bound["enough"] = min(ENOUGH, ENOUGH_IN_SHORT) if short else ENOUGH
        rows = self._run(build_gather_query, uses)
        gathered = rows[0][-1] if rows else 0
        total = self.cursor.total if self.cursor else None
        if gathered < cast("int", self.bound["enough"]):
            if self.cursor is None:
                total = self._count(rows) if self.bound["offset"] and not rows else gathered
            return rows, total
        near = max(REACH_IN_SHORT if short else 0, (total or 0) // 2) if self.counted else REACH
        rows = self._walk(uses, near) if near else []
        if self.cursor is None:
            total = self._count(rows)
        # Where they all lie further back, little is lost beside counting them.
        if len(rows) < self._limit and total is not None and total // 2 > near:
            rows = self._walk(uses, total // 2)
        return rows if len(rows) == self._limit else self._run(build_page_query, uses), total

    @property
    def _limit(self) -> int:
        return cast("int", self.bound["limit"])

    @property
    def _ratio(self) -> float:
        begin, end = self.range
        return measure_months(begin, end) / max(end - begin, timedelta.resolution)

    def _walk(self, uses: Uses, reach: int) -> list[tuple[Any, ...]]:
        self.bound["reach"] = reach
        return self._run(build_walk_query, uses)

    def _run(self, build: Callable[[tuple[Shape, ...], Uses, bool], str], uses: Uses) -> list[tuple[Any, ...]]:
        self.database.execute(build(self.shapes, uses, self.cursor is not None), self.bound)
        return self.database.fetchall()

    def _count(self, rows: list[tuple[Any, ...]]) -> int | None:
        """How many match in all, if that is wanted; `rows` are those of the first page."""
        if not self.counted:
            return None
        dense = self._are_dense(rows)
        findable = not dense and are_findable(self.database, self.shapes, self.bound, self.keys)
        uses = tuple((each.name, each.choose_count_use(dense=dense, findable=findable)) for each in self.keys)
        self.database.execute(build_count_query(self.shapes, uses), self.bound)
        ((total,),) = self.database.fetchall()
        return cast("int", total)

    def _are_dense(self, rows: list[tuple[Any, ...]]) -> bool:
        """Whether what matches, in the months that the range touches, is probably more than all events of the range.

        As far as the page's events tell: they are so many of all that there are since the last of them.
        """
        if len(rows) < self._limit or not any(SHARED[each.name].bursts for each in self.keys):
            return False
        matching = cast("int", self.bound["offset"]) + len(rows)
        reach = math.ceil(matching * self._ratio)
        self.database.execute(build_newer_query(self.shapes), {**self.bound, "since": rows[-1][0], "reach": reach})
        ((newer,),) = self.database.fetchall()
        return cast("int", newer) < reach


def measure_months(begin: datetime, end: datetime) -> timedelta:
    """How long the months are that a range touches, until now."""
    first = begin.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = (
        (min(end, now()) - timedelta.resolution)
        .astimezone(UTC)
        .replace(day=28, hour=0, minute=0, second=0, microsecond=0)
    )
    after = (last + timedelta(days=4)).replace(day=1)
    return max(end, min(after, now())) - first


def _bind(values: Mapping[str, object]) -> tuple[tuple[Shape, ...], dict[str, object]]:
    """The filters in a fixed order, and their values, each under its number; the parts of one that has parts apart."""
    shapes: list[Shape] = []
    bound: dict[str, object] = {}
    for name in sorted(values):
        asked = recognise(name)
        if asked is None or asked.row.filter is None:
            continue
        place, value = f"v{len(shapes)}", values[name]
        shapes.append((asked.row.name, asked.negated, asked.prefix))
        if isinstance(value, tuple):
            bound |= {f"{place}_{part}": each for part, each in value._asdict().items()}  # type: ignore[attr-defined]
        else:
            bound[place] = value
    return tuple(shapes), bound


def _has_beginnings(shape: Shape) -> bool:
    """Whether a filter's beginnings are looked up in their index: statistics hardly tell how many there are."""
    name, negated, prefix = shape
    asked = PARAMETERS[name].filter
    return prefix and not negated and asked is not None and asked.ordered
