"""The SQL of a search. A text depends only on which filters are given and on how the keys are used."""

from functools import lru_cache
from typing import Final, cast

from pypika import AliasedQuery, Order, Tuple
from pypika import PostgreSQLQuery as Query
from pypika import functions as fn
from pypika.queries import QueryBuilder
from pypika.terms import Criterion

from query_events.conditions import bind, events
from query_events.rows import PAGE_COLUMNS, select_whole_events
from query_events.shared_keys import Shape, Use, build_criterion, list_criteria

Uses = tuple[tuple[str, Use], ...]  # of each shared table's keys

RANGE: Final = frozenset({"from", "to"})
ALLOW_HASH_JOIN = "SET LOCAL enable_hashjoin = on; "
# Reading a long range's part of the index of time, to spare rows that have the keys but not the time, takes longer
# beside reading those rows than the planner thinks.
AVOID_LONG_SCANS = "SET LOCAL cpu_index_tuple_cost = 0.01; "


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
    found = {use for _, use in uses}
    settings = (ALLOW_HASH_JOIN, Use.JOIN in found), (AVOID_LONG_SCANS, Use.LIST in found)
    return "".join(setting for setting, wanted in settings if wanted) + sql


@lru_cache(maxsize=256)
def build_newer_query(shapes: tuple[Shape, ...]) -> str:
    """The SQL that counts all events of the range from an instant on, up to `reach`."""
    query = Query.from_(events).select(events.event_key).where(events.occurred_at >= bind("since"))
    for criterion in list_criteria(shapes, events, only={"to"}):
        query = query.where(criterion)
    newer = query.limit(cast("int", bind("reach"))).as_("newer")
    return str(Query.from_(newer).select(fn.Count("*")).get_sql())
