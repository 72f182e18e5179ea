"""`GET /api/v1/metrics`: how many mails were accepted, delivered, bounced, opened, clicked, complained of, in groups.

Every rate names what it is a part of. What counts as what is in common/figures.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple

from psycopg2 import errors

from common.clock import format_instant
from common.events import Json
from common.json_text import encode_json
from query_events.answers import Answer
from query_events.csv_text import CSV, wants_csv, write_csv
from query_events.keywords import Keywords
from query_events.lookup_schemas import METRICS
from query_events.masking import mask_result
from query_events.metrics_query import COUNTS, FILTERS, GROUPS, SECONDS, TIMES, build_statement
from query_events.own_parameters import FROM, TO, OwnParameter, list_inputs, read_zoned
from query_events.parameters import PARAMETERS as SEARCHED
from query_events.routing import READ_EVENTS, READ_PII, Request, Route
from query_events.sizes import fit
from query_events.values import (
    DELIMITER,
    SHOWN,
    ZONE,
    Form,
    Reading,
    one_of,
    read_number,
    refuse,
    suggest,
)

PATH: Final = "/api/v1/metrics"
USUAL_ROWS: Final = 1_000
MOST_ROWS: Final = 10_000
USUAL_DAYS: Final = 30


class Rate(NamedTuple):
    """A part of something."""

    part: str
    whole: str


RATES: Final = {
    "delivery_rate_of_accepted": Rate("delivered", "accepted"),
    "bounce_rate_of_accepted": Rate("bounced", "accepted"),
    "hard_bounce_rate_of_accepted": Rate("bounced_hard", "accepted"),
    "open_rate_of_delivered": Rate("unique_opened", "delivered"),
    "open_by_person_rate_of_delivered": Rate("unique_opened_by_person", "delivered"),
    "click_rate_of_delivered": Rate("unique_clicked", "delivered"),
    "complaint_rate_of_delivered": Rate("complained", "delivered"),
    "unsubscribe_rate_of_delivered": Rate("unsubscribed", "delivered"),
}
MEANINGS: Final = {
    "accepted": "messages that the provider took for sending; one whose injection it did not tell counts with its"
    " delivery or bounce",
    "delivered": "messages that the receiving server took",
    "deferred": "times that the receiving server put a message off",
    "bounced": "bounces, of every kind",
    **{f"bounced_{kind}": f"of these, {kind}" for kind in ("hard", "soft", "block", "admin", "undetermined")},
    "bounced_out_of_band": "of the bounces, those that came back as a mail after the delivery",
    "rejected": "messages that the provider refused to send",
    "failed": "messages that the provider could not make",
    "opened": "opens, by whomever and however often",
    "opened_by_machine": "of these, by a proxy or scanner",
    "unique_opened": "messages that were opened, counted when they were opened first",
    "unique_opened_by_person": "messages that a person opened, counted when a person opened them first",
    "clicked": "clicks",
    "unique_clicked": "messages in which a link was clicked, counted with the first click",
    "complained": "complaints of spam",
    "unsubscribed": "unsubscriptions",
    "delivery_seconds_p50": "seconds from the injection within which half of the messages were delivered",
    "delivery_seconds_p95": "seconds within which 95 of 100 were",
    **{name: f"{rate.part} / {rate.whole}" for name, rate in RATES.items()},
}
_ORDERS: Final = (*GROUPS, *COUNTS, *SECONDS)


def _read_groups(name: str, text: str, _reading: Reading) -> list[str]:
    groups = list(dict.fromkeys(one_of(GROUPS).read(name, text, Reading())))  # type: ignore[call-overload]
    if set(TIMES) <= set(groups):
        raise refuse(name, "may have day or hour, not both")
    return groups


def _read_order(name: str, text: str, _reading: Reading) -> str:
    if text.removeprefix("-") not in _ORDERS:
        raise refuse(name, f"can't be {text[:SHOWN]}: {suggest(text.removeprefix('-'), _ORDERS)}")
    return text


def _read_format(name: str, text: str, _reading: Reading) -> str:
    if text not in ("json", "csv"):
        raise refuse(name, "must be json or csv")
    return text


PARAMETERS: Final = (
    FROM._replace(meaning="the first instant, inclusive; 30 days before `to`, from midnight on, if none"),
    TO._replace(meaning="the last instant, exclusive; now if none"),
    OwnParameter("timezone", ZONE, "of days, hours and times without a zone, an IANA name; UTC if none"),
    OwnParameter(
        "group_by", one_of(GROUPS)._replace(read=_read_groups), f"any of {', '.join(GROUPS)}, separated by commas"
    ),
    *(OwnParameter(row.name, row.form, row.meaning) for row in map(SEARCHED.__getitem__, FILTERS)),
    OwnParameter("delimiter", SEARCHED["delimiter"].form, "what separates the values of filters; a comma if none"),
    OwnParameter(
        "order",
        Form(_read_order, {"type": "string", "enum": ["", *(sign + name for name in _ORDERS for sign in ("", "-"))]}),
        "a group or a count, `-` before it: the greatest first; else times in order, or the most accepted first",
    ),
    OwnParameter(
        "limit",
        Form(read_number(MOST_ROWS), {"type": "integer", "minimum": 1, "maximum": MOST_ROWS, "default": USUAL_ROWS}),
        f"groups that are shown, 1 to {MOST_ROWS:,}",
    ),
    OwnParameter("format", Form(_read_format, {"type": "string", "enum": ["", "json", "csv"]}), "`json` or `csv`"),
)


class Asked(NamedTuple):
    """What is asked for."""

    begin: datetime
    end: datetime
    zone: tzinfo
    groups: list[str]
    order: str  # with `-` before it for descending
    limit: int
    filters: dict[str, Any]  # values by the filter's name


def read_asked(given: Mapping[str, str], instant: datetime) -> Asked:
    """What the parameters ask for. Raises `ApiError`."""
    values, zone = read_zoned(given, PARAMETERS, given.get("delimiter") or DELIMITER)
    end = values.get("to", instant)
    midnight = end.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    groups = values.get("group_by", [])
    order = values.get("order") or next((name for name in groups if name in TIMES), "-accepted")
    if order.removeprefix("-") in GROUPS and order.removeprefix("-") not in groups:
        raise refuse("order", "must be a count or one of group_by")
    begin = values.get("from", midnight - timedelta(days=USUAL_DAYS))
    filters = {name: values[name] for name in FILTERS if name in values}
    return Asked(begin, end, zone, groups, order, values.get("limit", USUAL_ROWS), filters)


def answer_metrics(request: Request) -> Answer:
    """`{"results", "total", "total_count", …}`, or CSV. Raises `ApiError`."""
    asked = read_asked(request.given, request.instant)
    bound: dict[str, object] = {"from": asked.begin, "to": asked.end, "limit": asked.limit, "zone": str(asked.zone)}
    for name, value in asked.filters.items():
        parts = value._asdict() if isinstance(value, Keywords) else {}
        bound |= {f"{name}_{part}": each for part, each in parts.items()} or {name: value}
    order = asked.order.removeprefix("-")
    statement = build_statement(asked.groups, sorted(asked.filters), order, descending=order != asked.order)
    with request.connect().cursor() as database:
        try:
            database.execute(statement, bound)
        except errors.InvalidParameterValue:
            raise refuse("timezone", "is not known to the database") from None
        rows = database.fetchall()
    total = _show(rows[0][len(asked.groups) + 1 :] if rows else ())
    shown = rows[1:] if asked.groups else []
    results = [show_row(asked, row) for row in shown[: asked.limit]]
    if not request.caller.may(READ_PII):
        results = [mask_result(result) for result in results]
    if wants_csv(request.given.get("format", ""), request.headers):
        return Answer(200, write_csv([*asked.groups, *MEANINGS], results or [total]), {"content-type": CSV})
    results = fit(results)
    head: Json = {
        "from": format_instant(asked.begin),
        "to": format_instant(asked.end),
        "timezone": str(asked.zone),
        "group_by": asked.groups,
        "total_count": max(rows[0][-1] - 1, 0) if rows and asked.groups else 0,
        "meanings": MEANINGS,
    }
    return Answer(200, encode_json({"results": results, "total": total, **head}))


def show_row(asked: Asked, row: Sequence[Any]) -> Json:
    """One group: its names, counts and rates."""
    names: Json = dict(zip(asked.groups, row, strict=False))
    if "day" in names:
        names["day"] = names["day"].isoformat()
    if "hour" in names:
        names["hour"] = names["hour"].astimezone(asked.zone).isoformat()
    return names | _show(row[len(asked.groups) + 1 :])


def _show(counts: Sequence[Any]) -> Json:
    """Counts, seconds and rates; a rate of nothing is null."""
    shown: Json = dict.fromkeys(COUNTS, 0) | dict.fromkeys(SECONDS)
    shown |= dict(zip((*COUNTS, *SECONDS), counts, strict=False))
    for name, rate in RATES.items():
        shown[name] = round(shown[rate.part] / shown[rate.whole], 6) if shown[rate.whole] else None
    return shown


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_metrics,
        summary="Counts, rates and times to deliver, in groups",
        inputs=list_inputs(PARAMETERS),
        result=METRICS,
        refusals=(400,),
        contents={200: {"text/csv": {"type": "string"}}},
    ),
)
