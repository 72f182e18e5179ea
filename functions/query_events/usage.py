"""`GET /api/v1/usage`: the numbers of an API product, over the API calls that were sent to us.

A call counts as many times as its weight says, since it is a sample of so many.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any, Final

from psycopg2 import errors

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.lookup_schemas import COUNT, TEXT, TIME, describe, list_of
from query_events.masking import mask_result
from query_events.own_parameters import BEGINNING, FROM, TO, OwnParameter, list_inputs, read_zoned
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.sizes import fit
from query_events.usage_query import FILTERS, GROUPS, ORDERS, TIMES, build_statement, has_actions, has_before
from query_events.values import (
    NUMBERS,
    SHOWN,
    TEXTS,
    ZONE,
    Form,
    Reading,
    one_of,
    read_number,
    refuse,
    suggest,
)

PATH: Final = "/api/v1/usage"
USUAL_ROWS: Final = 100
MOST_ROWS: Final = 10_000
USUAL_DAYS: Final = 7
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
    "new_users": "people whose first call at all is among these",
    "new_companies": "companies whose first call at all is among these",
    "lost_users": "people who made a call in the period of the same length before, and none in this one; null by day or"
    " hour",
    "lost_companies": "companies of which that is so",
    "calls_before": "calls in the period of the same length before; null by day or hour",
    "growth_of_calls_before": "(calls - calls_before) / calls_before",
    "seconds_to_first_success_p50": "of people whose first call with a status below 400 is among these: seconds from"
    " their first activity at all within which half of them made it",
    "seconds_to_first_success_p95": "seconds within which 95 of 100 of them did",
    "transactions": "actions, each as many times as its weight says; null by what actions have not",
    "calls_per_transaction": "calls / transactions",
}
COUNTS: Final = ("calls", "errors", "server_errors", "users", "companies", "new_users", "new_companies")
OF_BEFORE: Final = ("lost_users", "lost_companies", "calls_before", "growth_of_calls_before")
_ORDERS: Final = (*GROUPS, *ORDERS)


def _read_groups(name: str, text: str, reading: Reading) -> list[str]:
    groups = list(dict.fromkeys(one_of(GROUPS).read(name, text, reading)))  # type: ignore[call-overload]
    if set(TIMES) <= set(groups):
        raise refuse(name, "may have day or hour, not both")
    return groups


def _read_order(name: str, text: str, _reading: Reading) -> str:
    if text.removeprefix("-") not in _ORDERS:
        raise refuse(name, f"can't be {text[:SHOWN]}: {suggest(text.removeprefix('-'), _ORDERS)}")
    return text


FILTER_PARAMETERS: Final = (
    OwnParameter("routes", TEXTS, "routes without the method, separated by commas"),
    OwnParameter("statuses", NUMBERS, "statuses, separated by commas"),
    OwnParameter("companies", TEXTS, "ids of companies, separated by commas"),
    OwnParameter("users", TEXTS, "ids of users, separated by commas"),
)
PARAMETERS: Final = (
    FROM._replace(meaning="the first instant, inclusive; 7 days before `to`, from midnight on, if none"),
    TO._replace(meaning="the last instant, exclusive; now if none"),
    OwnParameter("timezone", ZONE, "of days, hours and times without a zone, an IANA name; UTC if none"),
    OwnParameter(
        "group_by", one_of(GROUPS)._replace(read=_read_groups), f"any of {', '.join(GROUPS)}, separated by commas"
    ),
    *FILTER_PARAMETERS,
    OwnParameter("transactions", TEXTS, "names of the actions that are transactions, separated by commas; all if none"),
    OwnParameter(
        "order",
        Form(_read_order, {"type": "string", "enum": ["", *(sign + name for name in _ORDERS for sign in ("", "-"))]}),
        "a group or a number, `-` before it: the greatest first; else times in order, or the most calls first",
    ),
    OwnParameter(
        "limit",
        Form(read_number(MOST_ROWS), {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": USUAL_ROWS}),
        f"groups that are shown, 1 to {MOST_ROWS:,}",
    ),
)


def answer_usage(request: Request) -> bytes:
    """`{"results", "total", "total_count", …}`. Raises `ApiError`."""
    values, zone = read_zoned(request.given, PARAMETERS)
    end = values.get("to", request.instant)
    midnight = end.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    begin = values.get("from", midnight - timedelta(days=USUAL_DAYS))
    before = begin - min(max(end - begin, timedelta()), max(begin - BEGINNING, timedelta()))
    groups: list[str] = values.get("group_by", [])
    limit = values.get("limit", USUAL_ROWS)
    order = values.get("order", "")
    if order.removeprefix("-") in GROUPS and order.removeprefix("-") not in groups:
        raise refuse("order", "must be a number or one of group_by")
    filters = {name: values[name] for name in FILTERS if name in values}
    bound = {"before": before, "from": begin, "to": end, "limit": limit, "zone": str(zone), **filters}
    bound["transactions"] = values.get("transactions")
    statement = build_statement(
        groups,
        sorted(filters),
        order.removeprefix("-"),
        descending=order.startswith("-"),
        named="transactions" in values,
    )
    with request.connect().cursor() as database:
        try:
            database.execute(statement, bound)
        except errors.InvalidParameterValue:
            raise refuse("timezone", "is not known to the database") from None
        rows = database.fetchall() or [(*(None for _ in groups), *_NOTHING)]
    minutes = (end - begin) / timedelta(minutes=1)
    total = _show(rows[0][len(groups) :], minutes)
    results = [_show_row(groups, row, zone, minutes) for row in rows[1 : limit + 1]] if groups else []
    if not request.caller.may(READ_PII):
        results = [mask_result(result) for result in results]
    results = fit(results)
    answer: Json = {
        "results": results,
        "total": total,
        "from": format_instant(begin),
        "to": format_instant(end),
        "timezone": str(zone),
        "group_by": groups,
        "total_count": rows[0][-1] - 1 if groups else 0,
        "meanings": MEANINGS,
    }
    return encode_json(answer)


def _show_row(groups: Sequence[str], row: Sequence[Any], zone: tzinfo, minutes: float) -> Json:
    names: Json = dict(zip(groups, row, strict=False))
    if "day" in names:
        names["day"] = names["day"].isoformat()
    if "hour" in names:
        names["hour"] = names["hour"].astimezone(zone).isoformat()
    numbers = _show(row[len(groups) :], minutes)
    if not has_before(groups):
        numbers |= dict.fromkeys(OF_BEFORE)
    if not has_actions(groups):
        numbers |= dict.fromkeys(("transactions", "calls_per_transaction"))
    return names | numbers


def _show(counts: Sequence[Any], minutes: float) -> Json:
    """The numbers of one group; null where they would be divided by nothing."""
    calls, errors_, server_errors, users, companies, up, used, average, p50, p90, p99, *rest = counts
    new_users, new_companies, lost_users, lost_companies, success_p50, success_p95, before, transactions, _ = rest
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
        "new_users": new_users,
        "new_companies": new_companies,
        "lost_users": lost_users,
        "lost_companies": lost_companies,
        "calls_before": before,
        "growth_of_calls_before": _divide(calls - before, before),
        "seconds_to_first_success_p50": success_p50,
        "seconds_to_first_success_p95": success_p95,
        "transactions": transactions,
        "calls_per_transaction": _divide(calls, transactions),
    }
    return {name: numbers[name] for name in MEANINGS}


# What the statement gives but for the groups, where there is nothing.
_NOTHING: Final = (*(0,) * 7, *(None,) * 4, *(0,) * 4, None, None, 0, 0, 1)


def _divide(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole > 0 else None


_NUMBER: Final[Mapping[str, Any]] = {"type": ["number", "null"], "minimum": 0}
_NUMBERS: Final = {name: dict(COUNT if name in COUNTS else _NUMBER) for name in MEANINGS} | {
    "growth_of_calls_before": {"type": ["number", "null"], "minimum": -1}
}
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
