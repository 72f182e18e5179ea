"""Notifications: `GET /api/v1/notifications`, `/notifications/{name}`. What became of them: deliveries.py."""

from typing import Final

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import COHORT_INPUT, find_cohort
from query_events.lookup_schemas import NULLABLE_TIME, TEXT, TIME, describe, list_of, or_null
from query_events.masking import mask_result
from query_events.own_parameters import OwnParameter, list_inputs, read_own
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.values import Form, Reading
from query_events.waiting import COUNTED, REASONS, count_waiting

PATH: Final = "/api/v1/notifications"
COHORT_PATH: Final = "/api/v1/cohorts/{cohort}/notifications"
ONE_PATH: Final = "/api/v1/notifications/{notification}"
MOST: Final = 1_000  # notifications that are shown


def _read_text(_name: str, text: str, _reading: Reading) -> str:
    return text


_TEXT: Final = Form(_read_text, {"type": "string"})
LIST_PARAMETERS: Final = (OwnParameter("cohort", _TEXT, "of the cohort of this name"),)
SELECT: Final = """
SELECT n.name, c.name, n.definition, n.created_at, n.created_by, n.period_began,
       (SELECT max(d.at) FROM deliveries d WHERE d.notification = n.name AND d.state = 'sent')
FROM notifications n JOIN cohorts c USING (cohort_id)
WHERE n.deleted_at IS NULL AND (%(name)s::text IS NULL OR n.name = %(name)s)
  AND (%(cohort)s::text IS NULL OR c.name = %(cohort)s)
ORDER BY n.name LIMIT %(limit)s
"""


def answer_notifications(request: Request) -> bytes:
    """`{"results": [{"name", "cohort", "definition", …}]}`, by name. Raises `ApiError`."""
    values = read_own(request.given, LIST_PARAMETERS)
    return encode_json({"results": _read(request, None, values.get("cohort"))})


def answer_cohort(request: Request) -> bytes:
    """The same of one cohort. Raises `ApiError`."""
    read_own(request.given, ())
    cohort = request.path_values["cohort"]
    with request.connect().cursor() as database:
        find_cohort(database, cohort)
    return encode_json({"results": _read(request, None, cohort)})


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
        waiting = count_waiting(database, request.instant, name)
    shown = [
        {
            "name": name,
            "cohort": cohort,
            "definition": definition,
            "created_at": format_instant(created_at),
            "created_by": created_by,
            "period_began": began and format_instant(began),
            "last_sent_at": sent and format_instant(sent),
            "waiting": waiting.get(name, dict.fromkeys(REASONS, 0)) if "mail" in definition["channel"] else None,
        }
        for name, cohort, definition, created_at, created_by, began, sent in rows
    ]
    return shown if request.caller.may(READ_PII) else [mask_result(one) for one in shown]


_NOTIFICATION: Final = describe(
    name=TEXT,
    cohort=TEXT,
    definition={"type": "object"},
    created_at=TIME,
    created_by=TEXT,
    period_began=NULLABLE_TIME,
    last_sent_at=NULLABLE_TIME,
    waiting=or_null(COUNTED),
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
        COHORT_PATH,
        READ_EVENTS,
        answer_cohort,
        summary="Who is told of one cohort, and how",
        inputs=(COHORT_INPUT,),
        result=describe(results=list_of(_NOTIFICATION)),
        refusals=(400, 404),
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
)
