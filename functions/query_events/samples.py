"""`GET /api/v1/samples`: Prometheus's series, those of customers and those of nobody, by day or hour."""

from datetime import timedelta, tzinfo
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from psycopg2 import errors

from common.clock import format_instant
from common.events import Json
from common.json_text import decode_json, encode_json
from query_events.lookup_schemas import COUNT, NULLABLE, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import FROM, TO, OwnParameter, list_inputs, read_zoned
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.sizes import fit
from query_events.usage_hours import BUCKETS
from query_events.values import SHOWN, TEXTS, ZONE, Form, Reading, read_number, refuse

PATH: Final = "/api/v1/samples"
USUAL_SERIES: Final = 100
MOST_SERIES: Final = 1_000
USUAL_DAYS: Final = 7
GROUPS: Final = ("day", "hour")
# Whose series.
OWNERS: Final = {
    "all": "true",
    "customers": "(s.identity_id IS NOT NULL OR s.company_id IS NOT NULL)",
    "nobody": "s.identity_id IS NULL AND s.company_id IS NULL",
}
FILTERS: Final = {
    "names": "s.name = ANY (%(names)s)",
    "companies": "c.value = ANY (%(companies)s)",
    "users": "u.value = ANY (%(users)s)",
}
MEANINGS: Final = {
    "samples": "samples that are numbers",
    "last": "the last one's value",
    "minimum": "the least value",
    "average": "the sum of the values / samples",
    "maximum": "the greatest value",
    "increase": "how much a counter grew: the sum of the differences to the sample before, which may lie before the"
    " range; a value that is less than the one before began anew from 0. null where there is no sample before",
}
# Differences and sums are numeric: two doubles' may be none. Stale markers (null) and NaN count for nothing.
_STATEMENT: Final = """
WITH chosen AS MATERIALIZED (
    SELECT s.series_id, s.name, s.labels, u.value AS owner, c.value AS company, count(*) OVER () AS total
    FROM series s
    LEFT JOIN identities u ON u.identity_id = s.identity_id
    LEFT JOIN identities c ON c.identity_id = s.company_id
    WHERE {conditions} AND EXISTS (
        SELECT FROM samples WHERE samples.series_id = s.series_id AND sampled_at >= %(from)s AND sampled_at < %(to)s
          AND value <> 'NaN')
    ORDER BY s.name, s.labels::text LIMIT %(limit)s
),
steps AS (
    SELECT chosen.*, sampled_at, value, lag(value) OVER (PARTITION BY series_id ORDER BY sampled_at) AS previous
    FROM chosen CROSS JOIN LATERAL (
        SELECT sampled_at, value::numeric AS value FROM samples
        WHERE samples.series_id = chosen.series_id AND value <> 'NaN' AND sampled_at < %(to)s
          AND sampled_at >= coalesce((SELECT max(before.sampled_at) FROM samples AS before
                                      WHERE before.series_id = chosen.series_id AND before.sampled_at < %(from)s
                                        AND before.value <> 'NaN'), %(from)s)) AS found
)
SELECT name, labels::text, owner, company, {bucket} AS bucket, total, count(*),
       (array_agg(value ORDER BY sampled_at DESC))[1], min(value), avg(value), max(value),
       sum(CASE WHEN value >= previous THEN value - previous
                WHEN value < previous THEN value END)
FROM steps WHERE sampled_at >= %(from)s
GROUP BY series_id, name, labels::text, owner, company, total, bucket
ORDER BY name, labels::text, bucket
"""


def _read_group(name: str, text: str, _reading: Reading) -> str:
    if text not in GROUPS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is {' or '.join(GROUPS)}")
    return text


def _read_owner(name: str, text: str, _reading: Reading) -> str:
    if text not in OWNERS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is one of {', '.join(OWNERS)}")
    return text


PARAMETERS: Final = (
    FROM._replace(meaning="the first instant, inclusive; 7 days before `to`, from midnight on, if none"),
    TO._replace(meaning="the last instant, exclusive; now if none"),
    OwnParameter("timezone", ZONE, "of days, hours and times without a zone, an IANA name; UTC if none"),
    OwnParameter(
        "group_by", Form(_read_group, {"type": "string", "enum": ["", *GROUPS]}), "`day` or `hour`; the range if none"
    ),
    OwnParameter(
        "of",
        Form(_read_owner, {"type": "string", "enum": ["", *OWNERS]}),
        "`all` series, those that a label gives to `customers`, or those of `nobody`",
    ),
    OwnParameter("names", TEXTS, "names of metrics, separated by commas"),
    OwnParameter("companies", TEXTS, "ids of companies, separated by commas"),
    OwnParameter("users", TEXTS, "ids of users, separated by commas"),
    OwnParameter(
        "limit",
        Form(
            read_number(MOST_SERIES),
            {"type": "integer", "minimum": 1, "maximum": MOST_SERIES, "default": USUAL_SERIES},
        ),
        f"series that are shown, 1 to {MOST_SERIES:,}",
    ),
)


def answer_samples(request: Request) -> bytes:
    """`{"results": [{"name", "labels", "user", "company", "points"}], "total_count", …}`. Raises `ApiError`."""
    values, zone = read_zoned(request.given, PARAMETERS)
    end = values.get("to", request.instant)
    midnight = end.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = values.get("from", midnight - timedelta(days=USUAL_DAYS))
    group = values.get("group_by")
    conditions = [OWNERS[values.get("of", "all")], *(FILTERS[name] for name in FILTERS if name in values)]
    bucket = BUCKETS[group].format("sampled_at") if group else "NULL"
    bound = {"from": begin, "to": end, "zone": str(zone), "limit": values.get("limit", USUAL_SERIES)}
    with request.connect().cursor() as database:
        try:
            statement = _STATEMENT.format(conditions=" AND ".join(conditions), bucket=bucket)
            database.execute(statement, {**values, **bound})
        except errors.InvalidParameterValue:
            raise refuse("timezone", "is not known to the database") from None
        rows = database.fetchall()
    results = [_show(list(found), group, zone) for _, found in groupby(rows, key=itemgetter(0, 1))]
    if not request.caller.may(READ_PII):
        results = [mask_result(result) for result in results]
    answer: Json = {
        "results": fit(results),
        "from": format_instant(begin),
        "to": format_instant(end),
        "timezone": str(zone),
        "group_by": group,
        "total_count": rows[0][5] if rows else 0,
        "meanings": MEANINGS,
    }
    return encode_json(answer)


def _show(rows: list[tuple[Any, ...]], group: str | None, zone: tzinfo) -> Json:
    """A series with its points."""
    name, labels, user, company, *_ = rows[0]
    points = []
    for row in rows:
        bucket, _, samples, *numbers = row[4:]
        point: Json = {}
        if group == "day":
            point["day"] = bucket.isoformat()
        elif group == "hour":
            point["hour"] = bucket.astimezone(zone).isoformat()
        point["samples"] = samples
        points.append(point | dict(zip(list(MEANINGS)[1:], map(_convert, numbers), strict=True)))
    return {"name": name, "labels": decode_json(labels.encode()), "user": user, "company": company, "points": points}


def _convert(number: Decimal | None) -> float | None:
    """What JSON can't hold becomes null there."""
    return None if number is None else float(number)


_NUMBER: Final = {"type": ["number", "null"]}
_POINT: Final = {
    "type": "object",
    "properties": {"day": TEXT, "hour": TEXT, **{name: COUNT if name == "samples" else _NUMBER for name in MEANINGS}},
    "required": [*MEANINGS],
    "additionalProperties": False,
}
ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_samples,
        summary="Prometheus's series by day or hour: values, and how much counters grew",
        inputs=list_inputs(PARAMETERS),
        result=describe(
            results=list_of(
                describe(
                    name=TEXT,
                    labels={"type": "object", "additionalProperties": TEXT},
                    user=NULLABLE,
                    company=NULLABLE,
                    points=list_of(_POINT),
                )
            ),
            **{"from": TIME, "to": TIME},
            timezone=TEXT,
            group_by=NULLABLE,
            total_count=COUNT,
            meanings={"type": "object", "additionalProperties": TEXT},
        ),
        refusals=(400,),
    ),
)
