"""`GET /api/v1/suppressions`: addresses that are not mailed, since when, and which event or who caused it."""

from typing import Any, Final

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import Page, read_position, show_page
from query_events.lookup_schemas import LINKS, NULLABLE, NULLABLE_TIME, TEXT, TIME, describe, list_of
from query_events.own_parameters import (
    BEGINNING,
    CURSOR,
    END,
    FROM,
    TO,
    OwnParameter,
    build_page_size,
    list_inputs,
    read_own,
)
from query_events.pages import encode_event_key
from query_events.routing import READ_EVENTS, Request, Route
from query_events.values import Form, Reading, refuse

PATH: Final = "/api/v1/suppressions"
USUAL_PAGE: Final = 100


REASONS: Final = ("bounced", "complained", "unsubscribed", "manual")


def _read_address(_name: str, text: str, _reading: Reading) -> str:
    return text.strip().lower()


def _read_text(_name: str, text: str, _reading: Reading) -> str:
    return text


def _read_reason(name: str, text: str, _reading: Reading) -> str:
    if text not in REASONS:
        raise refuse(name, f"is one of {', '.join(REASONS)}")
    return text


_TEXT: Final = Form(_read_text, {"type": "string"})
PARAMETERS: Final = (
    FROM._replace(meaning="on the list from then on"),
    TO._replace(meaning="on the list before"),
    OwnParameter("address", Form(_read_address, {"type": "string"}), "of this address alone, in any case"),
    OwnParameter("topic", _TEXT, "of this topic alone; `*` for those of every mail"),
    OwnParameter("reason", Form(_read_reason, {"enum": list(REASONS), "type": "string"}), "for this reason alone"),
    OwnParameter("source", _TEXT, "from this provider, key or list alone"),
    build_page_size(USUAL_PAGE, 1_000),
    CURSOR,
)
FILTERS: Final = ("address", "topic", "reason", "source")
# As the index suppressions_at has it.
SELECT: Final = """
SELECT at, hashtextextended(topic || ' ' || address, 0) AS number, address, topic, reason, source, event_at, event_key,
       removed_at, removed_by, delivery
FROM suppressions
WHERE at >= %(from)s AND at < %(to)s
  AND (at, hashtextextended(topic || ' ' || address, 0)) < (%(time)s, %(key)s)
  AND (%(address)s::text IS NULL OR address = %(address)s) AND (%(topic)s::text IS NULL OR topic = %(topic)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s) AND (%(source)s::text IS NULL OR source = %(source)s)
ORDER BY at DESC, number DESC LIMIT %(limit)s
"""


def answer_suppressions(request: Request) -> bytes:
    """`{"results": [{"address", "topic", "reason", …}], "links"}`, the newest first. Raises `ApiError`."""
    usual = {"from": BEGINNING, "to": END, **dict.fromkeys(FILTERS)}
    values: dict[str, Any] = {**usual, **read_own(request.given, PARAMETERS)}
    (time, key), size = read_position(values), values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        database.execute(SELECT, {**values, "time": time, "key": key, "limit": size + 1})
        rows = database.fetchall()
    entries = [((at, number), _show(at, *fields)) for at, number, *fields in rows]
    return encode_json(show_page(Page(PATH, request.given, size, entries), request.caller))


def _show(
    at: Any,
    address: str,
    topic: str,
    reason: str,
    source: str,
    event_at: Any,
    key: int | None,
    removed: Any,
    by: Any,
    delivery: str | None,
) -> Json:
    return {
        "address": address,
        "topic": topic,
        "reason": reason,
        "source": source,
        "event_key": encode_event_key(event_at, key) if key is not None and event_at is not None else None,
        "event_at": event_at and format_instant(event_at),
        "at": format_instant(at),
        "removed_at": removed and format_instant(removed),
        "removed_by": by,
        "delivery": delivery,
    }


_SUPPRESSION: Final = describe(
    address=TEXT,
    topic=TEXT,
    reason={"enum": list(REASONS)},
    source=TEXT,
    event_key=NULLABLE,
    event_at=NULLABLE_TIME,
    at=TIME,
    removed_at=NULLABLE_TIME,
    removed_by=NULLABLE,
    delivery=NULLABLE,
)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_suppressions,
        summary="Whom not to mail, since when, and which event or who caused it",
        inputs=list_inputs(PARAMETERS),
        result=describe(results=list_of(_SUPPRESSION), links=LINKS),
        refusals=(400,),
    ),
)
