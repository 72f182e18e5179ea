"""`GET /api/v1/deliveries`: each attempt to tell, and what became of it.

A mail whose attempt got no answer is `unknown` until an event of SES tells that it went (`known_deliveries` in
sql/migrations/0018_answer_unknown_sends.sql); for a time these events may still come.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import Page, read_position, show_page
from query_events.lookup_schemas import COUNT, LINKS, NULLABLE, NULLABLE_TIME, TEXT, TIME, describe, list_of
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
from query_events.values import Form, Reading

PATH: Final = "/api/v1/deliveries"
USUAL_PAGE: Final = 100
STATES: Final = ("sent", "retrying", "failed", "unknown", "suppressed", "held_out", "capped", "dropped")
UNKNOWN: Final = "unknown"
MAILS: Final = ("email", "mail")  # channels of which SES tells more
AWAITED: Final = timedelta(days=3)  # how long SES's events may still answer; the view's


def _read_text(_name: str, text: str, _reading: Reading) -> str:
    return text


_TEXT: Final = Form(_read_text, {"type": "string"})
PARAMETERS: Final = (
    FROM._replace(meaning="attempts from then on"),
    TO._replace(meaning="attempts before"),
    OwnParameter("notification", _TEXT, "of the notification of this name"),
    OwnParameter("recipient", _TEXT, "to this address, or host"),
    OwnParameter("state", _TEXT, f"{', '.join(STATES)}"),
    OwnParameter("id", _TEXT, "the attempts of this one"),
    build_page_size(USUAL_PAGE, 1_000),
    CURSOR,
)
FILTERS: Final = ("notification", "recipient", "state", "id")
SELECT: Final = """
SELECT at, batch_id, event_at, event_key, id, attempt, notification, cohort, channel, state, recipient, status,
       message_id, template, template_version, user_name, error
FROM known_deliveries
WHERE at >= %(from)s AND at < %(to)s AND (at, batch_id) < (%(time)s, %(key)s)
  AND (%(notification)s::text IS NULL OR notification = %(notification)s)
  AND (%(recipient)s::text IS NULL OR recipient = %(recipient)s)
  AND (%(state)s::text IS NULL OR state = %(state)s) AND (%(id)s::text IS NULL OR id = %(id)s)
ORDER BY at DESC, batch_id DESC LIMIT %(limit)s
"""
COLUMNS: Final = (
    *("id", "attempt", "notification", "cohort", "channel", "state", "recipient", "status", "message_id", "template"),
    *("template_version", "user", "error"),
)


def answer_deliveries(request: Request) -> bytes:
    """`{"results": [{"id", "attempt", "state", …}], "links"}`, the newest first. Raises `ApiError`."""
    usual: dict[str, Any] = {"from": BEGINNING, "to": END, **dict.fromkeys(FILTERS)}
    values = {**usual, **read_own(request.given, PARAMETERS)}
    (time, key), size = read_position(values), values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        database.execute(SELECT, {**values, "time": time, "key": min(key, 2**31 - 1), "limit": size + 1})
        rows = database.fetchall()
    entries = [((at, number), _show(request.instant, at, *fields)) for at, number, *fields in rows]
    return encode_json(show_page(Page(PATH, request.given, size, entries), request.caller))


def _show(instant: datetime, at: datetime, event_at: datetime | None, event_key: int | None, *fields: Any) -> Json:
    shown = {"at": format_instant(at), **dict(zip(COLUMNS, fields, strict=True))}
    is_awaited = shown["state"] == UNKNOWN and shown["channel"] in MAILS and instant < at + AWAITED
    shown["awaited_until"] = format_instant(at + AWAITED) if is_awaited else None
    shown["event_key"] = encode_event_key(event_at, event_key) if event_at and event_key is not None else None
    return shown


_NUMBER: Final[dict[str, Any]] = {"type": ["integer", "null"]}
_DELIVERY: Final = describe(
    at=TIME,
    id=TEXT,
    attempt=COUNT,
    notification=TEXT,
    cohort=TEXT,
    channel=TEXT,
    state=TEXT,
    recipient=NULLABLE,
    status=_NUMBER,
    message_id=NULLABLE,
    template=NULLABLE,
    template_version=_NUMBER,
    user=NULLABLE,
    error=NULLABLE,
    awaited_until=NULLABLE_TIME,
    event_key=NULLABLE,
)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_deliveries,
        summary="Each attempt to tell, the newest first: what became of it, and why",
        inputs=list_inputs(PARAMETERS),
        result=describe(results=list_of(_DELIVERY), links=LINKS),
        refusals=(400,),
    ),
)
