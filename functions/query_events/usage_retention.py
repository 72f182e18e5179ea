"""`GET /api/v1/usage/retention`: of who made the first call in a week, how many called in each week since."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from psycopg2 import errors

from common.clock import format_instant
from common.json_text import encode_json
from query_events.lookup_schemas import COUNT, TEXT, TIME, describe, list_of
from query_events.own_parameters import BEGINNING, FROM, TO, OwnParameter, list_inputs, read_zoned
from query_events.routing import READ_EVENTS, Request, Route
from query_events.usage import FILTER_PARAMETERS
from query_events.usage_hours import RANGE, SETTINGS, build_entries, build_hours
from query_events.usage_query import FILTERS
from query_events.values import SHOWN, ZONE, Form, Reading, refuse

PATH: Final = "/api/v1/usage/retention"
USUAL_WEEKS: Final = 12
WEEK: Final = timedelta(weeks=1)
SUBJECTS: Final = {"users": "identity_id", "companies": "company_id"}  # by the column of a call that says whose it is
MEANINGS: Final = {
    "week": "the Monday of the week in which they made their first call, of those that are asked for",
    "size": "how many did",
    "retained": "how many of these made a call in that week, in the next one, and so on up to the last of the range",
    "rates": "retained / size",
}
# The range's end bounds it alone: who called before it began is nobody who began in it.
_RANGES: Final = "SELECT false, %(beginning)s::timestamptz, %(to)s::timestamptz"
_STATEMENT: Final = """
WITH {hours},
called AS (SELECT bucket, {column} AS who FROM {entries} AS e WHERE {column} IS NOT NULL GROUP BY bucket, {column}),
active AS MATERIALIZED (
    SELECT DISTINCT i.person_id, bucket AS week FROM called JOIN identities i ON i.identity_id = called.who
),
new AS (SELECT person_id, min(week) AS week FROM active GROUP BY person_id HAVING min(week) >= %(monday)s)
SELECT new.week, (active.week - new.week) / 7 AS since, count(*)
FROM new JOIN active USING (person_id) GROUP BY new.week, since ORDER BY new.week, since
"""


def _read_subject(name: str, text: str, _reading: Reading) -> str:
    if text not in SUBJECTS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is {' or '.join(SUBJECTS)}")
    return text


PARAMETERS: Final = (
    FROM._replace(meaning=f"in the first week, which counts whole; {USUAL_WEEKS} weeks before `to`, if none"),
    TO._replace(meaning="the last instant, exclusive; now if none"),
    OwnParameter("timezone", ZONE, "of weeks and times without a zone, an IANA name; UTC if none"),
    OwnParameter("of", Form(_read_subject, {"type": "string", "enum": ["", *SUBJECTS]}), "`users`, or `companies`"),
    *FILTER_PARAMETERS,
)


def build_statement(subject: str, filters: Sequence[str]) -> str:
    """The SQL of how many of the users, or companies, who began in a week called so many weeks later."""
    column = SUBJECTS[subject]
    hours, entries = build_hours(_RANGES, "week"), build_entries([column], filters, RANGE)
    return SETTINGS + _STATEMENT.format(hours=hours, entries=entries, column=column)


def find_monday(instant: datetime, zone: tzinfo) -> date:
    """The Monday of the week in which it is."""
    day = instant.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def answer_retention(request: Request) -> bytes:
    """`{"results": [{"week", "size", "retained", "rates"}], …}`. Raises `ApiError`."""
    values, zone = read_zoned(request.given, PARAMETERS)
    end: datetime = values.get("to", request.instant)
    monday = find_monday(values.get("from", end - USUAL_WEEKS * WEEK), zone)
    begin = datetime(monday.year, monday.month, monday.day, tzinfo=zone).astimezone(UTC)
    subject = values.get("of", "users")
    filters = {name: values[name] for name in FILTERS if name in values}
    bound: dict[str, Any] = {"beginning": BEGINNING, "to": end, "monday": monday, "zone": str(zone), **filters}
    with request.connect().cursor() as database:
        try:
            database.execute(build_statement(subject, sorted(filters)), bound)
        except errors.InvalidParameterValue:
            raise refuse("timezone", "is not known to the database") from None
        rows = database.fetchall()
    last = find_monday(min(end - timedelta(microseconds=1), request.instant), zone)
    return encode_json(
        {
            "results": build_triangle(rows, last),
            "from": format_instant(begin),
            "to": format_instant(end),
            "timezone": str(zone),
            "of": subject,
            "meanings": MEANINGS,
        }
    )


def build_triangle(rows: list[tuple[date, int, int]], last: date) -> list[dict[str, Any]]:
    """A row for each week in which somebody began, of counts (week, weeks since, how many) up to the last week."""
    counts: dict[date, dict[int, int]] = {}
    for week, since, number in rows:
        counts.setdefault(week, {})[since] = number
    return [
        {
            "week": week.isoformat(),
            "size": found[0],
            "retained": (retained := [found.get(since, 0) for since in range(max(*found, (last - week) // WEEK) + 1)]),
            "rates": [round(number / found[0], 6) for number in retained],
        }
        for week, found in counts.items()
    ]


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_retention,
        summary="Of who made a first call in a week, how many called in each week since",
        inputs=list_inputs(PARAMETERS),
        result=describe(
            results=list_of(
                describe(
                    week=TEXT,
                    size=COUNT,
                    retained=list_of(COUNT),
                    rates=list_of({"type": "number", "minimum": 0, "maximum": 1}),
                )
            ),
            **{"from": TIME, "to": TIME},
            timezone=TEXT,
            of={"enum": [*SUBJECTS]},
            meanings={"type": "object", "additionalProperties": TEXT},
        ),
        refusals=(400,),
    ),
)
