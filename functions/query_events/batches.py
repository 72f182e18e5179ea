"""`GET /api/v1/batches`: what came in and when it was loaded, newest first.

WHERE (received_at, batch_id) < (%(time)s, %(key)s) ORDER BY received_at DESC, batch_id DESC LIMIT n + 1
"""

from typing import Any, Final
from urllib.parse import urlencode

from common.clock import format_instant
from common.json_text import encode_json
from query_events.lookup_schemas import BATCHES
from query_events.own_parameters import (
    BEGINNING,
    CURSOR,
    END,
    FROM,
    SENDERS,
    TO,
    build_page_size,
    list_inputs,
    read_own,
    refuse_cursor,
)
from query_events.pages import decode_event_key, encode_event_key
from query_events.routing import READ_EVENTS, Request, Route

PATH: Final = "/api/v1/batches"
USUAL_PAGE: Final = 100
PARAMETERS: Final = (
    FROM._replace(meaning="received then or later"),
    TO._replace(meaning="received before"),
    SENDERS,
    build_page_size(USUAL_PAGE, 1_000),
    CURSOR,
)
COLUMNS: Final = (
    *("object_key", "provider", "provider_batch_id", "request_id", "received_at", "loaded_at", "body_bytes"),
    *("event_count", "duplicate_count", "quarantine_count", "expired_count"),
)
SELECT: Final = """
SELECT received_at, batch_id, object_key, provider, provider_batch_id, request_id, received_at, loaded_at, body_bytes,
       event_count, duplicate_count, quarantine_count, expired_count
FROM batches
WHERE received_at >= %(from)s AND received_at < %(to)s
  AND (received_at, batch_id) < (%(time)s, %(key)s)
  AND (%(providers)s::text[] IS NULL OR provider = ANY(%(providers)s))
ORDER BY received_at DESC, batch_id DESC LIMIT %(limit)s
"""


def answer_batches(request: Request) -> bytes:
    """The JSON of one page: `{"results", "links"}`. Raises `ApiError`."""
    values: dict[str, Any] = {"from": BEGINNING, "to": END, "providers": None, "per_page": USUAL_PAGE}
    values |= read_own(request.given, PARAMETERS)
    position = decode_event_key(values["cursor"]) if values.get("cursor") else (END, 0)
    if position is None or not BEGINNING <= position[0] <= END:
        raise refuse_cursor()
    size = values["per_page"]
    with request.connect().cursor() as database:
        database.execute(SELECT, {**values, "time": position[0], "key": position[1], "limit": size + 1})
        rows = database.fetchall()
    links = {}
    if len(rows) > size:
        cursor = encode_event_key(*rows[size - 1][:2])
        links["next"] = f"{PATH}?{urlencode({**request.given, 'cursor': cursor})}"
    return encode_json({"results": [show(row[2:]) for row in rows[:size]], "links": links})


def show(row: tuple[Any, ...]) -> dict[str, Any]:
    """One batch."""
    batch = dict(zip(COLUMNS, row, strict=True))
    return batch | {name: format_instant(batch[name]) for name in ("received_at", "loaded_at")}


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_batches,
        summary="What came in and when it was loaded, newest first",
        inputs=list_inputs(PARAMETERS),
        result=BATCHES,
        refusals=(400,),
    ),
)
