"""Mails to members that wait, and whether all of them do: `GET /api/v1/mail`, `GET /api/v1/mail/waiting`."""

from datetime import datetime
from typing import Any, Final

from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import IDENTIFIED, Page, read_identities, read_position, show_page
from query_events.lookup_schemas import COUNT, LINKS, NULLABLE, TEXT, TIME, describe, list_of, or_null
from query_events.own_parameters import CURSOR, OwnParameter, build_page_size, list_inputs, read_own
from query_events.routing import READ_EVENTS, Caller, Request, Route
from query_events.values import SHOWN, Form, Reading, refuse

PATH: Final = "/api/v1/mail"
WAITING_PATH: Final = "/api/v1/mail/waiting"
USUAL_PAGE: Final = 50
REASONS: Final = ("quiet", "capped", "paused", "template", "turn")


def _read_text(_name: str, text: str, _reading: Reading) -> str:
    return text


def _read_reason(name: str, text: str, _reading: Reading) -> str:
    if text not in REASONS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is one of {', '.join(REASONS)}")
    return text


_TEXT: Final = Form(_read_text, {"type": "string"})
PARAMETERS: Final = (
    OwnParameter("notification", _TEXT, "of the notification of this name"),
    OwnParameter("person", _TEXT, "of whom goes by this id or address"),
    OwnParameter("reason", Form(_read_reason, {"type": "string", "enum": ["", *REASONS]}), "that wait for this"),
    build_page_size(USUAL_PAGE, 200),
    CURSOR,
)
PAUSE: Final = "SELECT began_at, reason, began_by, mails, bounces, complaints FROM mail_pauses WHERE ended_at IS NULL"
# What may hold all mails of a notification.
NAMED: Final = """
WITH named AS MATERIALIZED (
    SELECT n.notification_id, n.name,
           CASE WHEN EXISTS (SELECT FROM mail_pauses WHERE ended_at IS NULL) THEN 'paused' END AS pause,
           CASE WHEN EXISTS (SELECT FROM email_templates t WHERE t.name = n.definition #>> '{channel,mail,template}'
                               AND t.deleted_at IS NULL) THEN 'turn' ELSE 'template' END AS turn
    FROM notifications n WHERE %(notification)s::text IS NULL OR n.name = %(notification)s)
"""
COUNTS: Final = """, counted AS (
    SELECT notification_id, CASE WHEN ready_at > %(instant)s THEN waits_for END AS waits_for, count(*) AS number
    FROM mails_due WHERE dropped IS NULL AND notification_id IN (SELECT notification_id FROM named) GROUP BY 1, 2)
SELECT name, coalesce(pause, waits_for, turn), sum(number)::bigint
FROM counted JOIN named USING (notification_id) GROUP BY 1, 2
"""
PEOPLE: Final = "SELECT DISTINCT person_id FROM identities WHERE value IN (%(person)s, lower(%(person)s))"
FOUND: Final = """, waiting AS (
    SELECT d.id, d.due_at, hashtextextended(d.id, 0) AS number, n.name, d.subject_id, d.entered_at, d.ready_at,
           coalesce(n.pause, CASE WHEN d.ready_at > %(instant)s THEN d.waits_for END, n.turn) AS reason
    FROM mails_due d JOIN named n USING (notification_id) WHERE d.dropped IS NULL)
SELECT due_at, number, id, name, subject_id, entered_at, reason, ready_at FROM waiting
WHERE (due_at, number) < (%(time)s, %(key)s) AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(people)s::int[] IS NULL OR subject_id = ANY (%(people)s::int[]))
ORDER BY due_at DESC, number DESC LIMIT %(limit)s
"""


def count_waiting(database: DatabaseCursor, instant: datetime, notification: str | None = None) -> dict[str, Json]:
    """Of each notification for which somebody waits {reason: how many}, with all reasons."""
    database.execute(NAMED + COUNTS, {"instant": instant, "notification": notification})
    found: dict[str, Json] = {}
    for name, reason, count in database.fetchall():
        found.setdefault(name, dict.fromkeys(REASONS, 0))[reason] = count
    return found


def answer_mail(request: Request) -> bytes:
    """`{"results": {"paused": {"began_at", "reason", …} or null, "waiting": {reason: count}}}`. Raises `ApiError`."""
    read_own(request.given, ())
    with request.connect().cursor() as database:
        database.execute(PAUSE)
        pauses = database.fetchall()
        counts = count_waiting(database, request.instant).values()
    names = ("reason", "by", "mails", "bounces", "complaints")
    paused = [{"began_at": format_instant(at), **dict(zip(names, fields, strict=True))} for at, *fields in pauses]
    waiting = {reason: sum(count[reason] for count in counts) for reason in REASONS}
    return encode_json({"results": {"paused": paused[0] if paused else None, "waiting": waiting}})


def answer_waiting(request: Request) -> bytes:
    """`{"results": [{"id", "notification", "reason", "until", …}], "links"}`, the newest first. Raises `ApiError`."""
    usual: dict[str, Any] = {"notification": None, "person": None, "reason": None}
    values = {**usual, **read_own(request.given, PARAMETERS)}
    (time, key), size = read_position(values), values.get("per_page", USUAL_PAGE)
    with request.connect().cursor() as database:
        people = None
        if values["person"] is not None:
            database.execute(PEOPLE, values)
            people = [found for (found,) in database.fetchall()]
        values |= {"people": people, "instant": request.instant, "time": time, "key": key, "limit": size + 1}
        database.execute(NAMED + FOUND, values)
        entries = _show(database, database.fetchall(), request.caller)
    return encode_json(show_page(Page(WAITING_PATH, request.given, size, entries), request.caller))


def _show(
    database: DatabaseCursor, rows: list[tuple[Any, ...]], caller: Caller
) -> list[tuple[tuple[datetime, int], Json]]:
    people = read_identities(database, {row[4] for row in rows}, caller)
    return [
        (
            (due_at, number),
            {
                "id": name,
                "notification": notification,
                **people[subject_id],
                "entered_at": format_instant(entered_at),
                "due_at": format_instant(due_at),
                "reason": reason,
                "until": format_instant(ready_at) if reason in ("quiet", "capped") else None,
            },
        )
        for due_at, number, name, notification, subject_id, entered_at, reason, ready_at in rows
    ]


_NUMBER: Final[dict[str, Any]] = {"type": ["integer", "null"]}
COUNTED: Final = describe(**dict.fromkeys(REASONS, COUNT))
_PAUSE: Final = describe(
    began_at=TIME,
    reason={"enum": ["bounces", "complaints", "by_hand"]},
    by=NULLABLE,
    mails=_NUMBER,
    bounces=_NUMBER,
    complaints=_NUMBER,
)
_WAITING: Final = describe(
    id=TEXT,
    notification=TEXT,
    **IDENTIFIED,
    entered_at=TIME,
    due_at=TIME,
    reason={"enum": list(REASONS)},
    until=or_null(TIME),
)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_mail,
        summary="Whether mails to members are paused, and how many wait for what",
        result=describe(results=describe(paused=or_null(_PAUSE), waiting=COUNTED)),
        refusals=(400,),
    ),
    Route(
        WAITING_PATH,
        READ_EVENTS,
        answer_waiting,
        summary="Mails to members that wait: for whom, for what, and until when",
        inputs=list_inputs(PARAMETERS),
        result=describe(results=list_of(_WAITING), links=LINKS),
        refusals=(400,),
    ),
)
