"""`GET /api/v1/usage`: the numbers of an API product, over the API calls that were sent to us.

A call counts as many times as its weight says, since it is a sample of so many.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from psycopg2 import errors

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.lookup_schemas import COUNT, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import FROM, TO, OwnParameter, list_inputs, read_own
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.values import NUMBERS, TEXTS, ZONE, Form, Reading, one_of, read_number, read_time, refuse

PATH: Final = "/api/v1/usage"
USUAL_ROWS: Final = 100
MOST_ROWS: Final = 10_000
USUAL_DAYS: Final = 7
# What calls are grouped by; the database counts by them, and shows their texts in the end.
GROUPS: Final = {
    "route": "concat_ws(' ', o.method, o.route)",
    "method": "o.method",
    "status": "o.status",
    "company": "c.value",
    "user": "u.value",
    "client": "g.user_agent",
    "day": "(a.occurred_at AT TIME ZONE %(zone)s)::date",
    "hour": "date_trunc('hour', a.occurred_at, %(zone)s)",
}
TIMES: Final = ("day", "hour")
FILTERS: Final = {
    "routes": "o.route = ANY (%(routes)s)",
    "statuses": "o.status = ANY (%(statuses)s)",
    "companies": "c.value = ANY (%(companies)s)",
    "users": "u.value = ANY (%(users)s)",
}
MEANINGS: Final = {
    "calls": "API calls, each as many times as its weight says",
    "errors": "of these, with a status of 400 or more, or without an answer",
    "server_errors": "of these, with a status of 500 or more, or without an answer",
    "error_rate_of_calls": "errors / calls",
    "calls_per_minute": "calls / minutes of the range",
    "errors_per_minute": "errors / minutes of the range",
    "uptime_of_minutes": "minutes in which a call had an answer below 500 / minutes in which there was a call",
    "milliseconds_average": "from request to response, of the calls that had one",
    "milliseconds_p50": "milliseconds within which half of the calls were answered",
    "milliseconds_p90": "milliseconds within which 90 of 100 were",
    "milliseconds_p99": "milliseconds within which 99 of 100 were",
    "users": "people who made a call, each counted once, whatever ids they went by",
    "companies": "companies whose users made a call",
}
COUNTS: Final = ("calls", "errors", "server_errors", "users", "companies")

# The tables are joined by hashes, unlike a page of a search: so many keys are looked up here.
STATEMENT: Final = """
SET LOCAL enable_hashjoin = on;
WITH calls AS MATERIALIZED (
    SELECT {groups} a.occurred_at, coalesce(a.weight, 1)::bigint AS weight, a.duration, u.person_id, a.company_id,
           o.status IS NULL OR o.status >= 400 AS is_error, o.status IS NULL OR o.status >= 500 AS is_server_error
    FROM activities a
    JOIN operations o ON o.operation_id = a.operation_id AND o.activity_type = 'call'
    LEFT JOIN identities u ON u.identity_id = a.identity_id
    LEFT JOIN identities c ON c.identity_id = a.company_id
    LEFT JOIN agents g ON g.agent_id = a.agent_id
    WHERE a.occurred_at >= %(from)s AND a.occurred_at < %(to)s {filters}
),
counted AS (
    SELECT {names} {key} AS key, sum(weight)::bigint AS calls,
           coalesce(sum(weight) FILTER (WHERE is_error), 0)::bigint AS errors,
           coalesce(sum(weight) FILTER (WHERE is_server_error), 0)::bigint AS server_errors,
           count(DISTINCT person_id) AS users, count(DISTINCT company_id) AS companies
    FROM calls GROUP BY {sets}
),
by_minute AS (
    SELECT {names} date_trunc('minute', occurred_at) AS minute, {key} AS key, NOT bool_and(is_server_error) AS is_up
    FROM calls GROUP BY {sets_of_minutes}
),
up AS (SELECT key, count(*) FILTER (WHERE is_up) AS up, count(*) AS minutes FROM by_minute GROUP BY key),
by_duration AS (
    SELECT {names} duration, {key} AS key, sum(weight) AS weight
    FROM calls WHERE duration IS NOT NULL GROUP BY {sets_of_durations}
),
lined_up AS (
    SELECT key, duration, weight, sum(weight) OVER (PARTITION BY key ORDER BY duration) AS so_far,
           sum(weight) OVER (PARTITION BY key) AS timed
    FROM by_duration
),
timed AS (
    SELECT key, (sum(duration * weight) / sum(weight))::float8 AS average,
           min(duration) FILTER (WHERE so_far >= 0.50 * timed) AS p50,
           min(duration) FILTER (WHERE so_far >= 0.90 * timed) AS p90,
           min(duration) FILTER (WHERE so_far >= 0.99 * timed) AS p99
    FROM lined_up GROUP BY key
)
SELECT {names} calls, errors, server_errors, users, companies, up, minutes, average, p50, p90, p99, count(*) OVER ()
FROM counted LEFT JOIN up USING (key) LEFT JOIN timed USING (key)
WHERE calls IS NOT NULL
ORDER BY key <> '', {order} LIMIT %(limit)s + 1
"""


def _read_groups(name: str, text: str, reading: Reading) -> list[str]:
    groups = list(dict.fromkeys(one_of(GROUPS).read(name, text, reading)))  # type: ignore[call-overload]
    if set(TIMES) <= set(groups):
        raise refuse(name, "may have day or hour, not both")
    return groups


PARAMETERS: Final = (
    FROM._replace(meaning="the first instant, inclusive; 7 days before `to`, from midnight on, if none"),
    TO._replace(meaning="the last instant, exclusive; now if none"),
    OwnParameter("timezone", ZONE, "of days, hours and times without a zone, an IANA name; UTC if none"),
    OwnParameter(
        "group_by", one_of(GROUPS)._replace(read=_read_groups), f"any of {', '.join(GROUPS)}, separated by commas"
    ),
    OwnParameter("routes", TEXTS, "routes without the method, separated by commas"),
    OwnParameter("statuses", NUMBERS, "statuses, separated by commas"),
    OwnParameter("companies", TEXTS, "ids of companies, separated by commas"),
    OwnParameter("users", TEXTS, "ids of users, separated by commas"),
    OwnParameter(
        "limit",
        Form(read_number(MOST_ROWS), {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": USUAL_ROWS}),
        f"groups that are shown, 1 to {MOST_ROWS:,}",
    ),
)


def build_statement(groups: Sequence[str], filters: Sequence[str]) -> str:
    """The SQL of the numbers by these groups: the row of all calls first, if there is any, then those of the groups."""
    columns = [f"by_{name}" for name in groups]  # USER is a word of SQL
    listed = ", ".join(columns)
    times = [f"by_{name}" for name in groups if name in TIMES]

    def make_sets(more: str = "") -> str:
        sets = [f"({', '.join(filter(None, (listed, more)))})"] if groups else []
        return f"GROUPING SETS ({', '.join([*sets, f'({more})'])})"

    return STATEMENT.format(
        groups="".join(f"{GROUPS[name]} AS by_{name}, " for name in groups),
        names="".join(f"{column}, " for column in columns),
        key=f"CASE WHEN grouping({columns[0]}) = 1 THEN '' ELSE ROW({listed})::text END" if groups else "''",
        sets=make_sets(),
        sets_of_minutes=make_sets("date_trunc('minute', occurred_at)"),
        sets_of_durations=make_sets("duration"),
        filters="".join(f" AND {FILTERS[name]}" for name in filters),
        order=", ".join([*times, "calls DESC", *columns]),
    )


def answer_usage(request: Request) -> bytes:
    """`{"results", "total", "total_count", …}`. Raises `ApiError`."""
    values = read_own(request.given, PARAMETERS)
    zone: tzinfo = values.get("timezone", ZoneInfo("UTC"))
    for name in ("from", "to"):
        if name in values:
            values[name] = read_time(name, request.given[name].strip(), Reading(zone=zone))
    end = values.get("to", request.instant)
    midnight = end.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = values.get("from", midnight - timedelta(days=USUAL_DAYS))
    groups: list[str] = values.get("group_by", [])
    limit = values.get("limit", USUAL_ROWS)
    filters = {name: values[name] for name in FILTERS if name in values}
    bound = {"from": begin, "to": end, "limit": limit, "zone": str(zone), **filters}
    with request.connect().cursor() as database:
        try:
            database.execute(build_statement(groups, sorted(filters)), bound)
        except errors.InvalidParameterValue:
            raise refuse("timezone", "is not known to the database") from None
        rows = database.fetchall()
    minutes = (end - begin) / timedelta(minutes=1)
    total = _show(rows[0][len(groups) :] if rows else (), minutes)
    results = [_show_row(groups, row, zone, minutes) for row in rows[1 : limit + 1]] if groups else []
    if not request.caller.may(READ_PII):
        results = [mask_result(result) for result in results]
    answer: Json = {
        "results": results,
        "total": total,
        "from": format_instant(begin),
        "to": format_instant(end),
        "timezone": str(zone),
        "group_by": groups,
        "total_count": rows[0][-1] - 1 if rows and groups else 0,
        "meanings": MEANINGS,
    }
    return encode_json(answer)


def _show_row(groups: Sequence[str], row: Sequence[Any], zone: tzinfo, minutes: float) -> Json:
    names: Json = dict(zip(groups, row, strict=False))
    if "day" in names:
        names["day"] = names["day"].isoformat()
    if "hour" in names:
        names["hour"] = names["hour"].astimezone(zone).isoformat()
    return names | _show(row[len(groups) :], minutes)


def _show(counts: Sequence[Any], minutes: float) -> Json:
    """The numbers of one group; of no calls 0, or null where they are divided by."""
    calls, errors_, server_errors, users, companies, up, used, average, p50, p90, p99, _ = counts or (
        *(0,) * len(COUNTS), 0, 0, None, None, None, None, 0,
    )  # fmt: skip
    numbers = {
        "calls": calls,
        "errors": errors_,
        "server_errors": server_errors,
        "error_rate_of_calls": _divide(errors_, calls),
        "calls_per_minute": _divide(calls, minutes),
        "errors_per_minute": _divide(errors_, minutes),
        "uptime_of_minutes": _divide(up, used),
        "milliseconds_average": None if average is None else round(average, 3),
        "milliseconds_p50": p50,
        "milliseconds_p90": p90,
        "milliseconds_p99": p99,
        "users": users,
        "companies": companies,
    }
    return {name: numbers[name] for name in MEANINGS}


def _divide(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole > 0 else None


_NUMBER: Final[Mapping[str, Any]] = {"type": ["number", "null"], "minimum": 0}
_NUMBERS: Final = {name: dict(COUNT if name in COUNTS else _NUMBER) for name in MEANINGS}
_ROW: Final = {"type": "object", "properties": _NUMBERS, "required": [*_NUMBERS]}

ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_usage,
        summary="Calls, errors, latency and customers of an API, in groups",
        inputs=list_inputs(PARAMETERS),
        result=describe(
            results=list_of(_ROW),
            total=_ROW,
            **{"from": TIME, "to": TIME},
            timezone=TEXT,
            group_by=list_of(TEXT),
            total_count=COUNT,
            meanings={"type": "object", "additionalProperties": TEXT},
        ),
        refusals=(400,),
    ),
)
