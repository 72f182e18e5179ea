"""`GET /api/v1/templates/{template}/effect`, `/notifications/{notification}/effect`: what mails to members did.

People are counted, not mails or events. Against a cohort as the goal, who was to be mailed is compared with who was
held out: not who was mailed, as of those held out nobody knows whose mail would have failed or been suppressed.
"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import REASONS
from query_events.deliveries import STATES
from query_events.effect_query import EVENTS, Of, build_counts, build_goal
from query_events.lookup_schemas import COUNT, NULLABLE, NULLABLE_TIME, TEXT, TIME, describe, list_of, or_null
from query_events.masking import mask_result
from query_events.own_parameters import FROM, TO, OwnParameter, list_inputs, read_zoned
from query_events.proportions import METHOD, Group, compare, tell
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.values import PLAIN, ZONE, Form, Reading, refuse

TEMPLATE_PATH: Final = "/api/v1/templates/{template}/effect"
NOTIFICATION_PATH: Final = "/api/v1/notifications/{notification}/effect"
USUAL_DAYS: Final = 30
USUAL_WITHIN: Final = "7 days"
LONGEST: Final = timedelta(days=366)
UNITS: Final = {"minute": "minutes", "hour": "hours", "day": "days", "week": "weeks"}
GOAL: Final = """
SELECT c.cohort_id, v.definition ->> 'title', v.definition ->> 'subject', c.evaluated_at
FROM cohorts c JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
WHERE c.name = %(name)s
"""
IS_KNOWN: Final = {
    Of.TEMPLATE: "SELECT EXISTS (SELECT FROM email_templates WHERE name = %(name)s)",
    Of.NOTIFICATION: "SELECT EXISTS (SELECT FROM notifications WHERE name = %(name)s)",
}
_DURATION = re.compile(r"([1-9][0-9]{0,5}) (minute|hour|day|week)s?")
MEANINGS: Final = {
    "people": "to whom a mail was due in the range; one is counted once however many she got",
    **dict.fromkeys(STATES, "people of whom a mail ended so: see the states of deliveries"),
    "delivered": "whose mail the receiving server took",
    "opened": "who, or whose mail program, opened one",
    "clicked": "who clicked a link of one",
    "unsubscribed": "who unsubscribed by a link of one, or from SES's list",
    "bounced": "whose mail bounced, of every kind",
    "complained": "who reported one as spam",
    "goal.mailed": "who was sent one, at least the time ago in which to enter",
    "goal.intended": "who was to be mailed, sent or not",
    "goal.held_out": "who was held out",
    "goal.waiting": "who has time left",
    "goal.difference": "the share of the intended less that of those held out; low and high are its 95 % interval",
}


def _read_within(name: str, text: str, _reading: Reading) -> tuple[str, timedelta]:
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) * timedelta(**{UNITS[match[2]]: 1}) > LONGEST:
        raise refuse(name, "must be a number of minutes, hours, days or weeks, up to 366 days, as 7 days")
    return text, timedelta(**{UNITS[match[2]]: int(match[1])})


PARAMETERS: Final = (
    FROM._replace(meaning="mails that were sent, or not, from then on; 30 days before if none"),
    TO._replace(meaning="mails before; now if none"),
    OwnParameter("timezone", ZONE, "of times that name none, an IANA name; UTC if none"),
    OwnParameter("goal", PLAIN, "the name of a cohort of users, which to enter is the mail's goal"),
    OwnParameter(
        "within",
        Form(_read_within, {"type": "string", "examples": ["7 days", "12 hours"]}),
        f"in which time after the mail the goal is to be reached; {USUAL_WITHIN} if none",
    ),
)


# Template, version, and whether it is that of all: then both are None.
Whose = tuple[str | None, int | None, bool]
NOBODY: Final = (None, None, True, *[0] * (1 + len(STATES) + len(EVENTS)))


class _Goal(NamedTuple):
    """A cohort that is to be entered."""

    cohort_id: int
    name: str
    title: str
    within: str  # as it was asked for
    length: timedelta
    evaluated_at: datetime | None


def answer_template(request: Request) -> bytes:
    """`{"results": [{"template", "version", "people", …}], "total", "goal", …}`. Raises `ApiError`."""
    return _answer(request, Of.TEMPLATE, request.path_values["template"])


def answer_notification(request: Request) -> bytes:
    """The same of a notification's mails, whatever their templates. Raises `ApiError`."""
    return _answer(request, Of.NOTIFICATION, request.path_values["notification"])


def _answer(request: Request, of: Of, name: str) -> bytes:
    values, zone = read_zoned(request.given, PARAMETERS)
    if "within" in values and "goal" not in values:
        raise refuse("within", "needs goal")
    end = values.get("to", request.instant)
    bound = {"name": name, "from": values.get("from", end - timedelta(days=USUAL_DAYS)), "to": end}
    with request.connect().cursor() as database:
        database.execute(IS_KNOWN[of], {"name": name})
        if database.fetchall() != [(True,)]:
            raise ApiError(404, "Not found", f"There is no {of.value} of this name.", "1101")
        within = values.get("within") or _read_within("within", USUAL_WITHIN, Reading())
        goal = _find_goal(database, values["goal"], within) if "goal" in values else None
        database.execute(build_counts(of, STATES), {**bound, "events": [*EVENTS]})
        rows = database.fetchall()
        compared = _compare(database, of, goal, bound, request.instant) if goal else {}
    result = {
        "results": [{"template": row[0], "version": row[1], **_show(row, compared)} for row in rows if not row[2]],
        "total": _show(next((row for row in rows if row[2]), NOBODY), compared),
        "from": format_instant(bound["from"]),
        "to": format_instant(end),
        "timezone": str(zone),
        "goal": goal and _show_goal(goal),
        "meanings": MEANINGS,
    }
    return encode_json(result if request.caller.may(READ_PII) else mask_result(result))


def _find_goal(database: DatabaseCursor, name: str, within: tuple[str, timedelta]) -> _Goal:
    """Raises `ApiError`."""
    database.execute(GOAL, {"name": name})
    found = database.fetchall()
    if not found:
        raise refuse("goal", "is not the name of a cohort")
    ((cohort_id, title, subject, evaluated_at),) = found
    if subject != "user":
        raise refuse("goal", "is a cohort of companies; mails go to users")
    return _Goal(cohort_id, name, title, *within, evaluated_at)


def _compare(database: DatabaseCursor, of: Of, goal: _Goal, bound: Json, instant: datetime) -> dict[Whose, Json]:
    """The comparisons."""
    known_to = min(goal.evaluated_at or bound["from"], instant)
    more = {"goal": goal.cohort_id, "within": goal.length, "known_to": known_to, "other_reasons": [*REASONS]}
    database.execute(build_goal(of), {**bound, **more})
    compared = {(row[0], row[1], row[2]): _show_comparison(row[3:], goal.within) for row in database.fetchall()}
    return {(None, None, True): _show_comparison([0] * 7, goal.within), **compared}


def _show_comparison(counts: Sequence[int], within: str) -> Json:
    mailed, intended, held_out = (Group(*counts[place : place + 2]) for place in (0, 2, 4))
    difference = compare(intended, held_out)
    shown = {"mailed": mailed, "intended": intended, "held_out": held_out}
    return {
        **{name: {**group._asdict(), "share": _round(group.share)} for name, group in shown.items()},
        "waiting": counts[6],
        "difference": _round(difference and difference.value),
        "low": _round(difference and difference.low),
        "high": _round(difference and difference.high),
        "statement": tell(intended, held_out, within),
    }


def _round(share: float | None) -> float | None:
    return None if share is None else round(share, 6)


def _show(row: Sequence[Any], compared: dict[Whose, Json]) -> Json:
    whose, people, counts = (row[0], row[1], row[2]), row[3], row[4:]
    return {"people": people, **dict(zip((*STATES, *EVENTS), counts, strict=True)), "goal": compared.get(whose)}


def _show_goal(goal: _Goal) -> Json:
    return {
        "cohort": goal.name,
        "title": goal.title,
        "within": goal.within,
        "known_to": goal.evaluated_at and format_instant(goal.evaluated_at),
        "method": METHOD,
    }


_SHARE: Final[Json] = {"type": ["number", "null"], "minimum": -1, "maximum": 1}
_GROUP: Final = describe(people=COUNT, entered=COUNT, share=_SHARE)
_COMPARISON: Final = describe(
    mailed=_GROUP,
    intended=_GROUP,
    held_out=_GROUP,
    waiting=COUNT,
    difference=_SHARE,
    low=_SHARE,
    high=_SHARE,
    statement=TEXT,
)
_COUNTS: Final = {**dict.fromkeys(("people", *STATES, *EVENTS), COUNT), "goal": or_null(_COMPARISON)}
_RESULT: Final = describe(
    results=list_of(describe(template=NULLABLE, version={"type": ["integer", "null"]}, **_COUNTS)),
    total=describe(**_COUNTS),
    **{"from": TIME, "to": TIME},
    timezone=TEXT,
    goal=or_null(describe(cohort=TEXT, title=TEXT, within=TEXT, known_to=NULLABLE_TIME, method=TEXT)),
    meanings={"type": "object", "additionalProperties": TEXT},
)

ROUTES = (
    Route(
        TEMPLATE_PATH,
        READ_EVENTS,
        answer_template,
        summary="What a template's mails did, by version: people who got, opened and clicked them, and reached a goal",
        inputs=(Input("template", "its name"), *list_inputs(PARAMETERS)),
        result=_RESULT,
        refusals=(400, 404),
    ),
    Route(
        NOTIFICATION_PATH,
        READ_EVENTS,
        answer_notification,
        summary="The same of a notification's mails",
        inputs=(Input("notification", "its name"), *list_inputs(PARAMETERS)),
        result=_RESULT,
        refusals=(400, 404),
    ),
)
