"""`GET /api/v1/cohorts/{cohort}/members`, `…/transitions`: who is or was in a cohort, who came and went, and why.

WHERE (entered_at, subject_id) < (%(time)s, %(key)s) ORDER BY entered_at DESC, subject_id DESC LIMIT n + 1
"""

from typing import Any, Final

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import (
    CAUSE,
    CAUSES,
    COHORT_INPUT,
    IDENTIFIED,
    LARGEST_PAGE,
    USUAL_PAGE,
    Page,
    fill_path,
    find_cohort,
    read_identities,
    read_position,
    show_cause,
    show_page,
)
from query_events.lookup_schemas import COUNT, LINKS, NULLABLE_TIME, TIME, describe, list_of, or_null
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
from query_events.routing import READ_EVENTS, Request, Route
from query_events.values import SHOWN, Form, Reading, refuse

MEMBERS_PATH: Final = "/api/v1/cohorts/{cohort}/members"
TRANSITIONS_PATH: Final = "/api/v1/cohorts/{cohort}/transitions"
KINDS: Final = ("entered", "exited")


def _read_kind(name: str, text: str, _reading: Reading) -> str:
    if text not in KINDS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is {' or '.join(KINDS)}")
    return text


_SIZE: Final = build_page_size(USUAL_PAGE, LARGEST_PAGE)
MEMBERS_PARAMETERS: Final = (
    FROM._replace(name="at", meaning="the instant at which they were members; now if none, or if it is to come"),
    _SIZE,
    CURSOR,
)
TRANSITIONS_PARAMETERS: Final = (
    FROM._replace(meaning="transitions that happened then or later"),
    TO._replace(meaning="transitions that happened before"),
    OwnParameter(
        "kind", Form(_read_kind, {"type": "string", "enum": ["", *KINDS]}), "`entered` or `exited`; both if none"
    ),
    _SIZE,
    CURSOR,
)
_OPEN: Final = "exited_at IS NULL"  # by an index of its own: most who ever were members may have left
_AT: Final = "entered_at <= %(at)s AND (exited_at IS NULL OR exited_at > %(at)s)"
MEMBERS: Final = """
SELECT m.entered_at, m.subject_id, m.exited_at, began.version, began.cause, ended.cause
FROM (SELECT cohort_id, subject_id, entered_at, exited_at FROM memberships
      WHERE cohort_id = %(cohort)s AND {condition} AND (entered_at, subject_id) < (%(time)s, %(key)s)
      ORDER BY entered_at DESC, subject_id DESC LIMIT %(limit)s) AS m
{causes}
ORDER BY m.entered_at DESC, m.subject_id DESC
"""
TRANSITIONS: Final = """
SELECT at, transition_id, kind, told_at, version, subject_id, cause FROM transitions
WHERE cohort_id = %(cohort)s AND at >= %(from)s AND at < %(to)s AND (at, transition_id) < (%(time)s, %(key)s)
  AND kind = ANY (%(kinds)s)
ORDER BY at DESC, transition_id DESC LIMIT %(limit)s
"""


def answer_members(request: Request) -> bytes:
    """`{"results": [{"identities", …, "entered_at", "exited_at", "why", "why_exited"}], "at", "links"}`.

    Links keep to the instant. Raises `ApiError`.
    """
    values = read_own(request.given, MEMBERS_PARAMETERS)
    position, size = read_position(values), values.get("per_page", USUAL_PAGE)
    at = min(values.get("at", request.instant), request.instant)
    name = request.path_values["cohort"]
    condition = _AT if "at" in values else _OPEN
    place = {"at": at, "time": position[0], "key": position[1], "limit": size + 1}
    with request.connect().cursor() as database:
        cohort = find_cohort(database, name)
        database.execute(MEMBERS.format(condition=condition, causes=CAUSES), {"cohort": cohort, **place})
        rows = database.fetchall()
        names = read_identities(database, {row[1] for row in rows}, request.caller)
    entries = [((row[0], row[1]), {**names[row[1]], **show_membership(row[0], *row[2:])}) for row in rows]
    given = {**request.given, "at": at.isoformat()}
    page = show_page(Page(fill_path(MEMBERS_PATH, name), given, size, entries), request.caller)
    return encode_json({**page, "at": format_instant(at)})


def show_membership(entered_at: Any, exited_at: Any, version: int, why: Json, why_exited: Json | None) -> Json:
    """When it began and ended, the version of the definition that it began by, and why it did."""
    return {
        "entered_at": format_instant(entered_at),
        "exited_at": exited_at and format_instant(exited_at),
        "version": version,
        "why": show_cause(why),
        "why_exited": why_exited and show_cause(why_exited),
    }


def answer_transitions(request: Request) -> bytes:
    """`{"results": [{"kind", "at", "told_at", "version", "identities", …, "cause"}], "links"}`. Raises `ApiError`."""
    values = {"from": BEGINNING, "to": END, **read_own(request.given, TRANSITIONS_PARAMETERS)}
    position, size = read_position(values), values.get("per_page", USUAL_PAGE)
    name = request.path_values["cohort"]
    kinds = [values["kind"]] if "kind" in values else [*KINDS]
    bound = {"from": values["from"], "to": values["to"], "kinds": kinds, "time": position[0], "key": position[1]}
    with request.connect().cursor() as database:
        cohort = find_cohort(database, name)
        database.execute(TRANSITIONS, {"cohort": cohort, "limit": size + 1, **bound})
        rows = database.fetchall()
        names = read_identities(database, {row[5] for row in rows}, request.caller)
    entries = [
        (
            (at, number),
            {
                "kind": kind,
                "at": format_instant(at),
                "told_at": format_instant(told_at),
                "version": version,
                **names[subject],
                "cause": show_cause(cause),
            },
        )
        for at, number, kind, told_at, version, subject, cause in rows
    ]
    path = fill_path(TRANSITIONS_PATH, name)
    return encode_json(show_page(Page(path, request.given, size, entries), request.caller))


MEMBERSHIP: Final = {
    "entered_at": TIME,
    "exited_at": NULLABLE_TIME,
    "version": COUNT,
    "why": CAUSE,
    "why_exited": or_null(CAUSE),
}

ROUTES = (
    Route(
        MEMBERS_PATH,
        READ_EVENTS,
        answer_members,
        summary="Who is a member of a cohort, or was at an instant, since when, and why",
        inputs=(COHORT_INPUT, *list_inputs(MEMBERS_PARAMETERS)),
        result=describe(results=list_of(describe(**IDENTIFIED, **MEMBERSHIP)), at=TIME, links=LINKS),
        refusals=(400, 404),
    ),
    Route(
        TRANSITIONS_PATH,
        READ_EVENTS,
        answer_transitions,
        summary="Who entered and left a cohort, when, and why, the newest first",
        inputs=(COHORT_INPUT, *list_inputs(TRANSITIONS_PARAMETERS)),
        result=describe(
            results=list_of(
                describe(kind={"enum": [*KINDS]}, at=TIME, told_at=TIME, version=COUNT, **IDENTIFIED, cause=CAUSE)
            ),
            links=LINKS,
        ),
        refusals=(400, 404),
    ),
)
