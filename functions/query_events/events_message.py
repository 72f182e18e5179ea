"""`GET /api/v1/events/message`: SparkPost's search, in its current dialect."""

from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import urlencode

from common.events import Event, Json
from common.json_text import encode_json
from query_events.event_schemas import PAGE
from query_events.given import read_parameters
from query_events.masking import check_filters, mask_result
from query_events.pages import Cursor, decode_cursor, encode_cursor, encode_event_key
from query_events.parameters import Dialect
from query_events.routing import READ_EVENTS, READ_PII, Caller, Request, Route
from query_events.search import Page, complete_range, search_events
from query_events.search_inputs import list_search_inputs
from query_events.sizes import LARGEST_RESULTS, measure_text, shorten_event
from query_events.sparkpost_format import represent

PATH = "/api/v1/events/message"


def answer_search(request: Request) -> bytes:
    """The JSON of one page: `{"results", "total_count", "links"}`. Raises `ApiError`.

    A page ends early rather than grow beyond what a Lambda can answer; its `next` link goes on from there.
    """
    given = request.given
    values = read_parameters(given)
    check_filters(values, request.caller)
    cursor = decode_cursor(given.get("cursor", "").strip())
    complete_range(values, request.instant.replace(microsecond=0))
    page = search_events(request.connect(), values, cursor)
    results = encode_results(page, represent, request.caller)
    end = find_end(page, len(results))
    links = {} if end is None else {"next": build_next_link(given, values, end)}
    return join_page(results, page.total, links)


def encode_results(page: Page, show: Callable[[Event], Json], caller: Caller) -> list[bytes]:
    """The JSON of each event that the caller may see, at least one of them and no more than an answer can hold."""
    masked = not caller.may(READ_PII)
    results: list[bytes] = []
    size = 0
    for event, key in zip(page.events, page.keys, strict=True):
        result = show(event)
        result["event_key"] = encode_event_key(*key)
        if masked:
            result = mask_result(result)
        text = encode_json(result)
        size += measure_text(text)
        if size > LARGEST_RESULTS:
            if results:
                break
            text = encode_json(shorten_event(result))
        results.append(text)
    return results


def find_end(page: Page, shown: int) -> Cursor | None:
    """Where a page of which so many events are shown ends; None if nothing comes after it."""
    if not page.more and shown == len(page.events):
        return None
    return Cursor(*page.keys[shown - 1], page.total)


def join_page(results: list[bytes], total: int | None, links: object) -> bytes:
    """The JSON of a page."""
    rest = encode_json({"total_count": total, "links": links})
    return b'{"results":[' + b",".join(results) + b"]," + rest[1:]


def build_next_link(given: Mapping[str, str], values: Mapping[str, object], cursor: Cursor) -> str:
    """The next page's path and query: all filters again, the range fixed, so that later pages search the same."""
    return f"{PATH}?{urlencode({**given, **fix_range(values), 'cursor': encode_cursor(cursor)})}"


def fix_range(values: Mapping[str, object]) -> dict[str, str]:
    """The range that was searched, to the microsecond, as parameters."""
    return {
        name: value.isoformat().removesuffix("+00:00") + "Z"
        for name, value in values.items()
        if isinstance(value, datetime)
    }


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_search,
        summary="SparkPost's search for events",
        inputs=list_search_inputs(Dialect.EVENTS),
        result=PAGE,
        refusals=(400,),
    ),
)
