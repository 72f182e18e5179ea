"""A page of 1,000 events from the request to the response, beside SQL by hand and `json.dumps` of the same results."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bench.asking import SEARCH, ask, measure, open_connection
from bench.by_hand import select_page
from bench.figures import Figure
from bench.progress import count_up
from bench.stored import RECEIVED_AT
from bench.traffic import DAYS, START
from common.clock import format_instant
from local.postgres import Postgres
from query_events.answers import Answer, build_response

PAGE = 1_000
ROUNDS, WARM_UP = 60, 3
END = START + timedelta(days=DAYS - 5)
BEGIN = END - timedelta(days=30)
GZIP = {"accept-encoding": "gzip"}


def measure_pages(server: Postgres) -> list[Figure]:
    """The second page and those after it, as a client that follows links asks for them: the total is counted once."""
    given = {"from": format_instant(BEGIN), "to": format_instant(END), "per_page": str(PAGE)}
    with closing(open_connection(server)) as function, closing(open_connection(server)) as hand:
        first = json.loads(ask(function, SEARCH, given, RECEIVED_AT))
        times: dict[str, list[float]] = {}
        show = count_up("reading pages", ROUNDS)
        page = first
        for number in range(-WARM_UP, ROUNDS):
            # Round the pages again where there are too few.
            link = page["links"].get("next") or first["links"]["next"]
            page, took = _run_round(function, hand, link)
            if number >= 0:
                for name, milliseconds in took.items():
                    times.setdefault(name, []).append(milliseconds)
                show(number + 1)
    return _report({name: median(each) for name, each in times.items()})


def _run_round(function: Any, hand: Any, link: str) -> tuple[dict[str, Any], dict[str, float]]:
    """The page behind a link, and what each step took in milliseconds."""
    given = dict(parse_qsl(urlsplit(link).query))
    took: dict[str, float] = {}

    def note(name: str, call: Callable[[], Any]) -> Any:
        took[name], found = measure(call)
        return found

    body = note("body", lambda: ask(function, SEARCH, given, RECEIVED_AT))
    note("response", lambda: build_response(Answer(200, body), {}))
    note("gzip", lambda: build_response(Answer(200, body), GZIP))
    page = json.loads(body)
    newest, oldest = (page["results"][place]["timestamp"] for place in (0, -1))
    # By hand the page's own times are the range, so that no cursor is needed.
    bound = {"from": oldest, "to": datetime.fromisoformat(newest) + timedelta(milliseconds=1)}
    note("sql", lambda: select_page(hand, "true", bound, PAGE))
    note("dumps", lambda: json.dumps(page["results"], separators=(",", ":")).encode())
    return page, took


def _report(took: dict[str, float]) -> list[Figure]:
    whole, by_hand = took["body"] + took["response"], took["sql"] + took["dumps"]
    return [
        Figure(
            name=f"page of {PAGE:,} events, request to response p50",
            measured=f"{whole:.1f} ms",
            compared=f"SQL by hand and json.dumps {by_hand:.1f} ms",
            ratio=whole / by_hand,
        ),
        Figure(name="  of an event", measured=f"{whole / PAGE * 1000:.1f} us"),
        Figure(name="  SQL by hand alone", measured=f"{took['sql']:.1f} ms"),
        Figure(name="  json.dumps alone", measured=f"{took['dumps']:.1f} ms"),
        Figure(name="  compressed", measured=f"{took['body'] + took['gzip']:.1f} ms"),
    ]
