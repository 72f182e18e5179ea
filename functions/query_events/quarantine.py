"""`GET /api/v1/quarantine`: what could not be loaded and why, newest first.

WHERE (received_at, object_key, coalesce(item_index, -1)) < (…) ORDER BY the same, each DESC, LIMIT n + 1
"""

import base64
import binascii
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from common.clock import format_instant
from common.json_text import decode_json, encode_json
from common.text import clean_text
from query_events.lookup_schemas import QUARANTINE
from query_events.masking import mask_text
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
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.sizes import fit

PATH: Final = "/api/v1/quarantine"
USUAL_PAGE: Final = 100
PARAMETERS: Final = (
    FROM._replace(meaning="received then or later"),
    TO._replace(meaning="received before"),
    SENDERS,
    build_page_size(USUAL_PAGE, 500),
    CURSOR,
)
COLUMNS: Final = ("received_at", "object_key", "item_index", "provider", "reason", "item", "loaded_at")
SELECT: Final = """
SELECT received_at, object_key, item_index, provider, reason, item, loaded_at
FROM quarantine
WHERE received_at >= %(from)s AND received_at < %(to)s
  AND (received_at, object_key, coalesce(item_index, -1)) < (%(time)s, %(key)s, %(index)s)
  AND (%(providers)s::text[] IS NULL OR provider = ANY(%(providers)s))
ORDER BY received_at DESC, object_key DESC, coalesce(item_index, -1) DESC LIMIT %(limit)s
"""

Position = tuple[datetime, str, int]


def answer_quarantine(request: Request) -> bytes:
    """The JSON of one page: `{"results", "links"}`; `item` is null without pii:read. Raises `ApiError`."""
    values: dict[str, Any] = {"from": BEGINNING, "to": END, "providers": None, "per_page": USUAL_PAGE}
    values |= read_own(request.given, PARAMETERS)
    time, key, index = decode_position(values["cursor"]) if values.get("cursor") else (END, "", 0)
    size = values["per_page"]
    with request.connect().cursor() as database:
        database.execute(SELECT, {**values, "time": time, "key": key, "index": index, "limit": size + 1})
        rows = database.fetchall()
    may = request.caller.may(READ_PII)
    results = fit([show(row, may_see=may) for row in rows[:size]])
    links = {}
    if len(results) < len(rows):
        last = rows[len(results) - 1]
        cursor = encode_position((last[0], last[1], -1 if last[2] is None else last[2]))
        links["next"] = f"{PATH}?{urlencode({**request.given, 'cursor': cursor})}"
    return encode_json({"results": results, "links": links})


def show(row: tuple[Any, ...], *, may_see: bool) -> dict[str, Any]:
    """One entry; its item and what its reason quotes only to who may see addresses."""
    entry = dict(zip(COLUMNS, row, strict=True))
    entry |= {name: format_instant(entry[name]) for name in ("received_at", "loaded_at")}
    return entry if may_see else entry | {"item": None, "reason": mask_text(entry["reason"])}


def encode_position(position: Position) -> str:
    """A cursor: URL-safe base64 without padding."""
    time, key, index = position
    return base64.urlsafe_b64encode(encode_json([time.isoformat(), key, index])).decode().rstrip("=")


def decode_position(text: str) -> Position:
    """Where a page ended. Raises `ApiError`."""
    try:
        time, key, index = decode_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        instant = datetime.fromisoformat(time)
        is_ours = type(key) is str and key == clean_text(key) and type(index) is int and abs(index) < 2**31
        if is_ours and BEGINNING <= instant <= END:
            return instant, key, index
    except (binascii.Error, ValueError, TypeError, RecursionError):
        pass
    raise refuse_cursor()


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_quarantine,
        summary="What could not be loaded and why, newest first",
        inputs=list_inputs(PARAMETERS),
        result=QUARANTINE,
        refusals=(400,),
    ),
)
