"""`GET /api/v1/cohorts`, `GET /api/v1/cohorts/{cohort}`: which cohorts there are, how they stand, and how they grew."""

import base64
import binascii
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor as DatabaseCursor

from common.clock import format_instant
from common.errors import ApiError
from common.events import Json
from common.json_text import encode_json
from query_events.cohort_parts import COHORT_INPUT
from query_events.lookup_schemas import COUNT, LINKS, NULLABLE, NULLABLE_TIME, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import CURSOR, OwnParameter, build_page_size, list_inputs, read_own, refuse_cursor
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.sizes import fit
from query_events.values import ZONE, Form, read_number

PATH: Final = "/api/v1/cohorts"
ONE_PATH: Final = "/api/v1/cohorts/{cohort}"
USUAL_PAGE: Final = 100
USUAL_DAYS, MOST_DAYS = 30, 366
MOST_VERSIONS: Final = 100  # that are shown
PARAMETERS: Final = (build_page_size(USUAL_PAGE, 1_000), CURSOR)


def _number(largest: int, **usual: int) -> Form:
    return Form(read_number(largest), {"type": "integer", "minimum": 1, "maximum": largest, **usual})


ONE_PARAMETERS: Final = (
    OwnParameter(
        "days", _number(MOST_DAYS, default=USUAL_DAYS), f"how many days are shown, today the last: 1 to {MOST_DAYS}"
    ),
    OwnParameter("timezone", ZONE, "of the days, an IANA name; UTC if none"),
    OwnParameter("version", _number(999_999_999), "whose definition is shown; the one in force if none"),
)
STATE: Final = (
    *("name", "title", "subject", "version", "wanted_version", "switched_on_at", "evaluated_at", "error", "failed_at"),
    *("deleted_at", "size"),
)
TIMES: Final = ("switched_on_at", "evaluated_at", "failed_at", "deleted_at")
# Until the first version is in force, as the wanted one says.
SELECT: Final = """
SELECT c.name, v.definition ->> 'title', v.definition ->> 'subject', c.version, c.wanted, v.switched_on_at,
       c.evaluated_at, c.error, c.failed_at, c.deleted_at,
       (SELECT count(*) FROM memberships m WHERE m.cohort_id = c.cohort_id AND m.exited_at IS NULL)
FROM (SELECT * FROM cohorts WHERE {condition} ORDER BY name COLLATE "C" LIMIT %(limit)s) AS c
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(c.version, c.wanted)
ORDER BY c.name COLLATE "C"
"""
VERSIONS: Final = """
SELECT v.version, v.created_at, v.created_by, v.switched_on_at FROM cohorts c JOIN cohort_versions v USING (cohort_id)
WHERE c.name = %(name)s ORDER BY v.version DESC LIMIT %(most)s
"""
DEFINITION: Final = """
SELECT v.version, v.definition FROM cohorts c
JOIN cohort_versions v ON v.cohort_id = c.cohort_id AND v.version = coalesce(%(version)s, c.version, c.wanted)
WHERE c.name = %(name)s
"""
# How many are in now (0), and how many entered and left on each day (from 1 on).
CHANGES: Final = """
SELECT 0, count(*), 0 FROM memberships
WHERE cohort_id = (SELECT cohort_id FROM cohorts WHERE name = %(name)s) AND exited_at IS NULL
UNION ALL
SELECT width_bucket(at, %(begins)s::timestamptz[]), count(*) FILTER (WHERE kind = 'entered'),
       count(*) FILTER (WHERE kind = 'exited')
FROM transitions
WHERE cohort_id = (SELECT cohort_id FROM cohorts WHERE name = %(name)s) AND at >= %(first)s GROUP BY 1
"""


def answer_cohorts(request: Request) -> bytes:
    """`{"results": [{"name", "title", …}], "links"}`, by name. Raises `ApiError`."""
    values = read_own(request.given, PARAMETERS)
    size = values.get("per_page", USUAL_PAGE)
    after = _decode(values["cursor"]) if values.get("cursor") else ""
    statement = SELECT.format(condition='name COLLATE "C" > %(after)s')
    with request.connect().cursor() as database:
        database.execute(statement, {"after": after, "limit": size + 1})
        entries = [show_state(row) for row in database.fetchall()]
    shown = entries[:size] if request.caller.may(READ_PII) else [mask_result(entry) for entry in entries[:size]]
    kept = fit(shown)
    links = {}
    if len(kept) < len(entries):
        cursor = base64.urlsafe_b64encode(entries[len(kept) - 1]["name"].encode()).decode().rstrip("=")
        links["next"] = f"{PATH}?{urlencode({**request.given, 'cursor': cursor})}"
    return encode_json({"results": kept, "links": links})


def _decode(cursor: str) -> str:
    """The name behind which a page begins. Raises `ApiError`."""
    try:
        name = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise refuse_cursor() from None
    if not name.isprintable():
        raise refuse_cursor()
    return name


def show_state(row: tuple[Any, ...]) -> Json:
    """How a cohort stands."""
    state = dict(zip(STATE, row, strict=True))
    return state | {name: state[name] and format_instant(state[name]) for name in TIMES}


def answer_cohort(request: Request) -> bytes:
    """`{"results": {…, "definition", "versions", "days"}, "timezone"}`. Raises `ApiError`."""
    values = read_own(request.given, ONE_PARAMETERS)
    name, zone = request.path_values["cohort"], values.get("timezone", ZoneInfo("UTC"))
    begins = list_days(request.instant, values.get("days", USUAL_DAYS), zone)
    with request.connect().cursor() as database:
        database.execute(SELECT.format(condition="name = %(name)s"), {"name": name, "limit": 1})
        rows = database.fetchall()
        if not rows:
            raise ApiError(404, "Not found", "There is no cohort of this name.", "1101")
        database.execute(DEFINITION, {"name": name, "version": values.get("version")})
        defined = database.fetchall()
        if not defined:
            raise ApiError(404, "Not found", "The cohort has no such version.", "1101")
        database.execute(VERSIONS, {"name": name, "most": MOST_VERSIONS})
        versions = database.fetchall()
        days = read_days(database, name, begins, zone)
    result = show_state(rows[0]) | {
        "definition": defined[0][1],
        "definition_version": defined[0][0],
        "versions": [
            {
                "version": version,
                "created_at": format_instant(created_at),
                "created_by": created_by,
                "switched_on_at": switched_on_at and format_instant(switched_on_at),
            }
            for version, created_at, created_by, switched_on_at in versions
        ],
        "days": days,
        "size": days[-1]["size"],
    }
    if not request.caller.may(READ_PII):
        result = mask_result(result)
    return encode_json({"results": result, "timezone": str(zone)})


def list_days(instant: datetime, days: int, zone: tzinfo) -> list[datetime]:
    """The beginnings of the last days in a zone, today's the last."""
    today = instant.astimezone(zone).date()
    dates = [today - timedelta(days=number) for number in reversed(range(days))]
    return [datetime(date.year, date.month, date.day, tzinfo=zone) for date in dates]


def read_days(database: DatabaseCursor, name: str, begins: list[datetime], zone: tzinfo) -> list[Json]:
    """Of each day `{"day", "entered", "exited", "size"}`, the size as it ended, or is now."""
    database.execute(CHANGES, {"name": name, "begins": begins, "first": begins[0]})
    counts = {day: (entered, exited) for day, entered, exited in database.fetchall()}
    size = counts[0][0]
    shown = []
    for number, begin in reversed([*enumerate(begins, 1)]):
        entered, exited = counts.get(number, (0, 0))
        day = begin.astimezone(zone).date().isoformat()
        shown.append({"day": day, "entered": entered, "exited": exited, "size": size})
        size -= entered - exited
    return shown[::-1]


_NUMBER_OR_NULL: Final = {"type": ["integer", "null"], "minimum": 1}
_STATE: Final = {
    **dict.fromkeys(("name", "title"), TEXT),
    "subject": {"enum": ["user", "company"]},
    "version": _NUMBER_OR_NULL,
    "wanted_version": {"type": "integer", "minimum": 1},
    **dict.fromkeys(TIMES, NULLABLE_TIME),
    "error": NULLABLE,
    "size": COUNT,
}
_VERSION: Final = describe(version=COUNT, created_at=TIME, created_by=TEXT, switched_on_at=NULLABLE_TIME)

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_cohorts,
        summary="Cohorts by name, with their sizes and how they stand",
        inputs=list_inputs(PARAMETERS),
        result=describe(results=list_of(describe(**_STATE)), links=LINKS),
        refusals=(400,),
    ),
    Route(
        ONE_PATH,
        READ_EVENTS,
        answer_cohort,
        summary="One cohort: how it stands, its definition and versions, and its size by day",
        inputs=(COHORT_INPUT, *list_inputs(ONE_PARAMETERS)),
        result=describe(
            results=describe(
                **_STATE,
                definition={"type": "object"},
                definition_version=COUNT,
                versions=list_of(_VERSION),
                days=list_of(describe(day=TEXT, entered=COUNT, exited=COUNT, size={"type": "integer"})),
            ),
            timezone=TEXT,
        ),
        refusals=(400, 404),
    ),
)
