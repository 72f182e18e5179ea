"""Notifications and what became of them: `GET /api/v1/notifications`, `/notifications/{name}`, `/deliveries`."""

from typing import Any, Final

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import Page, read_position, show_page
from query_events.lookup_schemas import COUNT, LINKS, NULLABLE, NULLABLE_TIME, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
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
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.values import Form, Reading

PATH: Final = "/api/v1/notifications"
ONE_PATH: Final = "/api/v1/notifications/{notification}"
DELIVERIES_PATH: Final = "/api/v1/deliveries"
USUAL_PAGE: Final = 100
STATES: Final = ("sent", "retrying", "failed", "unknown", "suppressed", "held_out", "held", "capped", "paused")
MOST: Final = 1_000  # notifications that are shown


def _read_text(_name: str, text: str, _reading: Reading) -> str:
    return text


_TEXT: Final = Form(_read_text, {"type": "string"})
PARAMETERS: Final = (
    FROM._replace(meaning="attempts from then on"),
    TO._replace(meaning="attempts before"),
    OwnParameter("notification", _TEXT, "of the notification of this name"),
    OwnParameter("recipient", _TEXT, "to this address, or host"),
    OwnParameter("state", _TEXT, f"{', '.join(STATES)}"),
    build_page_size(USUAL_PAGE, 1_000),
    CURSOR,
)
LIST_PARAMETERS: Final = (OwnParameter("cohort", _TEXT, "of the cohort of this name"),)
SELECT: Final = """
SELECT n.name, c.name, n.definition, n.created_at, n.created_by, n.period_began,
       (SELECT max(d.at) FROM deliveries d WHERE d.notification = n.name AND d.state = 'sent')
FROM notifications n JOIN cohorts c USING (cohort_id)
WHERE n.deleted_at IS NULL AND (%(name)s::text IS NULL OR n.name = %(name)s)
  AND (%(cohort)s::text IS NULL OR c.name = %(cohort)s)
ORDER BY n.name LIMIT %(limit)s
"""
DELIVERIES: Final = """
SELECT at, batch_id, id, attempt, notification, cohort, channel, state, recipient, status, message_id, template,
       template_version, user_name, error
FROM deliveries
WHERE at >= %(from)s AND at < %(to)s AND (at, batch_id) < (%(time)s, %(key)s)
  AND (%(notification)s::text IS NULL OR notification = %(notification)s)
  AND (%(recipient)s::text IS NULL OR recipient = %(recipient)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY at DESC, batch_id DESC LIMIT %(limit)s
"""
COLUMNS: Final = (
    *("id", "attempt", "notification", "cohort", "channel", "state", "recipient", "status", "message_id", "template"),
    *("template_version", "user", "error"),
)


def answer_notifications(request: Request) -> bytes:
    """`{"results": [{"name", "cohort", "definition", …}]}`, by name. Raises `ApiError`."""
    values = read_own(request.given, LIST_PARAMETERS)
    return encode_json({"results": _read(request, None, values.get("cohort"))})


def answer_notification(request: Request) -> bytes:
    """`{"results": {"name", "cohort", "definition", …}}`. Raises `ApiError`."""
    read_own(request.given, ())
    found = _read(request, request.path_values["notification"], None)
    if not found:
        raise ApiError(404, "Not found", "There is no notification of this name.", "1101")
    return encode_json({"results": found[0]})


def _read(request: Request, name: str | None, cohort: str | None) -> list[Json]:
    with request.connect().cursor() as database:
        database.execute(SELECT, {"name": name, "cohort": cohort, "limit": MOST})
        rows = database.fetchall()
    shown = [
        {
            "name": name,
            "cohort": cohort,
            "definition": definition,
            "created_at": format_instant(created_at),
            "created_by": created_by,
            "period_began": began and format_instant(began),
            "last_sent_at": sent and format_instant(sent),
        }
        for name, cohort, definition, created_at, created_by, began, sent in rows
    ]
    return shown if request.caller.may(READ_PII) else [mask_result(one) for one in shown]


def answer_deliveries(request: Request) -> bytes:
    """`{"results": [{"id", "attempt", "state", …}], "links"}`, the newest first. Raises `ApiError`."""
    usual: dict[str, Any] = {"from": BEGINNING, "to": END, "notification": None, "recipient": None, "state": None}
    values = {**usual, **read_own(request.given, PARAMETERS)}
    (time, key), size = read_position(values), values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        database.execute(DELIVERIES, {**values, "time": time, "key": min(key, 2**31 - 1), "limit": size + 1})
        rows = database.fetchall()
    entries = [
        ((at, number), {"at": format_instant(at), **dict(zip(COLUMNS, fields, strict=True))})
        for at, number, *fields in rows
    ]
    return encode_json(show_page(Page(DELIVERIES_PATH, request.given, size, entries), request.caller))


_NOTIFICATION: Final = describe(
    name=TEXT,
    cohort=TEXT,
    definition={"type": "object"},
    created_at=TIME,
    created_by=TEXT,
    period_began=NULLABLE_TIME,
    last_sent_at=NULLABLE_TIME,
)
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
)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_notifications,
        summary="Who is told of which cohort, and how",
        inputs=list_inputs(LIST_PARAMETERS),
        result=describe(results=list_of(_NOTIFICATION)),
        refusals=(400,),
    ),
    Route(
        ONE_PATH,
        READ_EVENTS,
        answer_notification,
        summary="One notification",
        inputs=(Input("notification", "its name"),),
        result=describe(results=_NOTIFICATION),
        refusals=(400, 404),
    ),
    Route(
        DELIVERIES_PATH,
        READ_EVENTS,
        answer_deliveries,
        summary="Each attempt to tell, the newest first: what became of it, and why",
        inputs=list_inputs(PARAMETERS),
        result=describe(results=list_of(_DELIVERY), links=LINKS),
        refusals=(400,),
    ),
)
