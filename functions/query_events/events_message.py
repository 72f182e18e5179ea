"""`GET /api/v1/events/message`: SparkPost's search, in its current dialect."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from common.clock import format_instant
from common.json_text import encode_json
from query_events.pages import Cursor, decode_cursor, encode_cursor
from query_events.parameters import read_parameters
from query_events.routing import READ_EVENTS, Request, Route
from query_events.search import complete_range, search_events
from query_events.sparkpost_format import represent

PATH = "/api/v1/events/message"
LARGEST_RESULTS = 5_500_000  # bytes within a Lambda's answer, of which there may be 6 MB


def answer_search(request: Request) -> bytes:
    """The JSON of one page: `{"results", "total_count", "links"}`. Raises `ApiError`.

    A page ends early rather than grow beyond what a Lambda can answer; its `next` link goes on from there.
    """
    given = request.given
    values = read_parameters(given)
    cursor = decode_cursor(given.get("cursor", "").strip())
    complete_range(values, request.instant)
    page = search_events(request.connect(), values, cursor)
    results: list[bytes] = []
    size = 0
    for event in page.events:
        result = encode_json(represent(event))
        # The answer is JSON within JSON: quotes and backslashes are escaped once more.
        size += len(result) + 1 + result.count(b'"') + result.count(b"\\")
        if results and size > LARGEST_RESULTS:
            break
        results.append(result)
    links = {}
    if page.more or len(results) < len(page.events):
        occurred_at, event_key = page.keys[len(results) - 1]
        links["next"] = build_next_link(given, values, Cursor(occurred_at, event_key, page.total))
    rest = encode_json({"total_count": page.total, "links": links})
    return b'{"results":[' + b",".join(results) + b"]," + rest[1:]


def build_next_link(given: Mapping[str, str], values: Mapping[str, object], cursor: Cursor) -> str:
    """The next page's path and query: all filters again, the range fixed, so that later pages search the same."""
    fixed = {name: format_instant(value) for name, value in values.items() if isinstance(value, datetime)}
    return f"{PATH}?{urlencode({**given, **fixed, 'cursor': encode_cursor(cursor)})}"


ROUTES = (Route(PATH, READ_EVENTS, answer_search),)
