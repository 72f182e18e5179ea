"""`GET /api/v1/message-events`: SparkPost's search, in the dialect that it had until 2019."""

from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

from query_events.event_schemas import PAGE_V1
from query_events.events_message import encode_results, find_end, fix_range, join_page
from query_events.given import read_parameters
from query_events.masking import check_filters
from query_events.pages import Cursor, decode_cursor, encode_cursor
from query_events.parameters import DEFAULT_PAGE, Dialect
from query_events.routing import READ_EVENTS, Request, Route
from query_events.search import Page, complete_range, search_events
from query_events.search_inputs import list_search_inputs
from query_events.sparkpost_format import represent_v1
from query_events.values import refuse

PATH = "/api/v1/message-events"


def answer_search(request: Request) -> bytes:
    """The JSON of one page: `{"results", "total_count", "links"}`. Raises `ApiError`.

    A page may be asked for by its number. The link to the next one also holds a cursor: who follows it finds each event
    once, while others arrive and even where an answer can't hold a whole page. A number behind such a page is refused.
    """
    given = request.given
    values = read_parameters(given, Dialect.V1)
    check_filters(values, request.caller)
    complete_range(values, request.instant.replace(microsecond=0))
    number = cast("int", values.get("page", 1))
    size = cast("int", values.get("per_page", DEFAULT_PAGE))
    cursor = decode_cursor(given.get("cursor", "").strip())
    if cursor is not None and cursor.total is None:
        raise refuse("cursor", "must be `initial` or come from a link of this search")  # the other one need not count
    if cursor is None and number > 1:
        page = find_numbered(request, values, number, size)
    else:
        page = search_events(request.connect(), values, cursor)
    results = encode_results(page, represent_v1, request.caller)
    pages = -(-cast("int", page.total) // size)
    links = build_links({**given, **fix_range(values)}, number, pages, find_end(page, len(results)))
    return join_page(results, page.total, links)


def find_numbered(request: Request, values: Mapping[str, object], number: int, size: int) -> Page:
    """The page of that number, from 2 on, without a cursor. Raises `ApiError` where the one before it ended early.

    Who walks by numbers would miss the rest of that one and not know; each page vouches for the one before it.
    """
    before = search_events(request.connect(), values, None, offset=(number - 2) * size)
    shown = len(encode_results(before, represent_v1, request.caller))
    if shown < len(before.events):
        problem = f"can't be {number}: an answer holds {shown} events of page {number - 1}; ask for fewer by per_page"
        raise refuse("page", f"{problem}, or follow the links")
    end = find_end(before, shown)
    if end is None:
        return Page([], [], before.total, more=False)
    return search_events(request.connect(), values, end)


def build_links(given: Mapping[str, str], number: int, pages: int, end: Cursor | None) -> list[dict[str, str]]:
    """Links to the pages around this one, with all filters again; none where there is one page only.

    `end` is where this page ends, None if nothing comes after it.
    """
    filters = {name: text for name, text in given.items() if name not in ("page", "cursor")}

    def link(rel: str, page: int, **more: str) -> dict[str, str]:
        return {"href": f"{PATH}?{urlencode({'page': page, **filters, **more})}", "rel": rel}

    links = []
    if number > 1:
        links += [link("first", 1), link("previous", number - 1)]
    if end is not None:
        links += [link("next", number + 1, cursor=encode_cursor(end)), link("last", max(pages, number + 1))]
    return links


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_search,
        summary="SparkPost's search for events, as it was until 2019",
        inputs=list_search_inputs(Dialect.V1),
        result=PAGE_V1,
        refusals=(400,),
    ),
)
