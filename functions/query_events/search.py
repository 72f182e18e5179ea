"""The search for events: from parameters to a page.

The text of a query depends only on which parameters are given, so it is built once for each set of them.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as DatabaseCursor
from pypika import AliasedQuery, Order, Tuple
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.queries import QueryBuilder
from pypika.terms import Criterion

from common.events import Event
from query_events.conditions import bind, events
from query_events.given import recognise
from query_events.pages import Cursor
from query_events.parameters import DEFAULT_PAGE, PARAMETERS
from query_events.rows import PAGE_COLUMNS, EventReader, select_whole_events
from query_events.shared_keys import Keys, Shape, Use, build_criterion, find_keys, list_criteria, matches_nothing

DEFAULT_AGE = timedelta(hours=24)
DEFAULT_LAG = timedelta(minutes=1)  # what came in the last minute is left out unless asked for
REACH: Final = 20_000  # events that are walked through where nobody counts how many match
ENOUGH: Final = 2_000  # events that are gathered before it is asked where they lie
RANGE: Final = frozenset({"from", "to"})
STREAM_CHUNK: Final = 2_000  # events that are in memory at once
ALLOW_HASH_JOIN = "SET LOCAL enable_hashjoin = on; "

Uses = tuple[tuple[str, Use], ...]  # of each shared table's keys

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
    shapes, bound = _bind(values)
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
        rows, total = _Search(database, shapes, keys, bound, cursor, counted).find()
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

    def find(self) -> tuple[list[tuple[Any, ...]], int | None]:
        """The rows of the page and one more if there is one, and how many match in all if that is wanted or known."""
        uses = tuple((each.name, each.page_use) for each in self.keys)
        if any(use is Use.INDEX for _, use in uses) or any(map(_has_beginnings, self.shapes)):
            return self._find_by_index(uses)
        rows = self._run(build_page_query, uses)
        if self.cursor is not None:
            return rows, self.cursor.total
        offset, limit = cast("int", self.bound["offset"]), self.bound["limit"]
        if len(rows) == limit or (offset and not rows):
            return rows, self._count()
        return rows, offset + len(rows)

    def _find_by_index(self, uses: Uses) -> tuple[list[tuple[Any, ...]], int | None]:
        """As `find`. Few events are gathered and sorted; the newest of many are probably among the newest of all."""
        self.bound["enough"] = ENOUGH
        rows = self._run(build_gather_query, uses)
        gathered = rows[0][-1] if rows else 0
        if self.cursor is None and (gathered >= ENOUGH or (self.bound["offset"] and not rows)):
            total = self._count()
        else:
            total = self.cursor.total if self.cursor else gathered
        if gathered < ENOUGH:
            return rows, total
        # Where they all lie further back, little is lost beside counting them.
        self.bound["reach"] = REACH if total is None else total // 2
        rows = self._run(build_walk_query, uses)
        return rows if len(rows) == self.bound["limit"] else self._run(build_page_query, uses), total

    def _run(self, build: Callable[[tuple[Shape, ...], Uses, bool], str], uses: Uses) -> list[tuple[Any, ...]]:
        self.database.execute(build(self.shapes, uses, self.cursor is not None), self.bound)
        return self.database.fetchall()

    def _count(self) -> int | None:
        if not self.counted:
            return None
        uses = tuple((each.name, each.count_use) for each in self.keys)
        self.database.execute(build_count_query(self.shapes, uses), self.bound)
        ((total,),) = self.database.fetchall()
        return cast("int", total)


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


def _filter(shapes: tuple[Shape, ...], uses: Uses, *, paged: bool = False) -> QueryBuilder:
    query = Query.from_(events)
    for criterion in list_criteria(shapes, events):
        query = query.where(criterion)
    for name, use in uses:
        query = query.where(build_criterion(shapes, name, use))
    return query.where(_is_behind_cursor()) if paged else query


def _is_behind_cursor() -> Criterion:
    return Tuple(events.occurred_at, events.event_key) < Tuple(bind("cursor_time"), bind("cursor_key"))


def _select_columns(query: QueryBuilder) -> QueryBuilder:
    return query.select(*(events.field(name) for name in PAGE_COLUMNS))


def _select_page(query: QueryBuilder) -> QueryBuilder:
    """The page is found on events alone; only then its rows are joined with what they share."""
    page = (
        _select_columns(query)
        .orderby(events.occurred_at, events.event_key, order=Order.desc)
        .limit(cast("int", bind("limit")))
        .offset(cast("int", bind("offset")))
        .as_("page")
    )
    return select_whole_events(page).orderby(page.occurred_at, page.event_key, order=Order.desc)


@lru_cache(maxsize=256)
def build_page_query(shapes: tuple[Shape, ...], uses: Uses, paged: bool) -> str:  # noqa: FBT001 - as the others
    """The SQL of a page of what these filters find."""
    return str(_select_page(_filter(shapes, uses, paged=paged)).get_sql())


@lru_cache(maxsize=256)
def build_stream_query(shapes: tuple[Shape, ...], uses: Uses) -> str:
    """As a page, of all that these filters find; the stream of rows is one order from the index on."""
    found = _select_columns(_filter(shapes, uses)).orderby(events.occurred_at, events.event_key, order=Order.desc)
    page = found.as_("page")
    return str(select_whole_events(page).orderby(page.occurred_at, page.event_key, order=Order.desc).get_sql())


@lru_cache(maxsize=256)
def build_gather_query(shapes: tuple[Shape, ...], uses: Uses, paged: bool) -> str:  # noqa: FBT001
    """As a page, of some `enough` events that are found, in no order; each row ends with how many they were."""
    found = _select_columns(_filter(shapes, uses, paged=paged)).limit(cast("int", bind("enough")))
    name = AliasedQuery("events")
    count = Query.from_(name).select(fn.Count("*"))
    return str(_select_page(Query.from_(name)).select(count).with_(found, "events").get_sql())


@lru_cache(maxsize=256)
def build_walk_query(shapes: tuple[Shape, ...], uses: Uses, paged: bool) -> str:  # noqa: FBT001
    """As a page, of what these filters find among the newest `reach` events of the range."""
    query = Query.from_(events)
    for criterion in list_criteria(shapes, events, only=RANGE):
        query = query.where(criterion)
    if paged:
        query = query.where(_is_behind_cursor())
    newest = (
        _select_columns(query)
        .orderby(events.occurred_at, events.event_key, order=Order.desc)
        .limit(cast("int", bind("reach")))
        .as_("events")
    )
    walked = Query.from_(newest)
    for criterion in list_criteria(shapes, events):
        walked = walked.where(criterion)
    for name, use in uses:
        walked = walked.where(build_criterion(shapes, name, Use.HASH if use is Use.INDEX else use))
    return str(_select_page(walked).get_sql())


@lru_cache(maxsize=256)
def build_count_query(shapes: tuple[Shape, ...], uses: Uses) -> str:
    """The SQL that counts all that these filters find."""
    sql = str(_filter(shapes, uses).select(fn.Count("*")).get_sql())
    return ALLOW_HASH_JOIN + sql if any(use is Use.JOIN for _, use in uses) else sql
