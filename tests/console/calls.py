"""API calls of a few companies over five weeks, one of which left, and series of Prometheus, for the console."""

import json
import time
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from admin.api_keys import create_api_key
from local.stack import Stack
from tests.console.traffic import MARKUP
from tests.stack.client import await_true, call, select
from tests.unit.sources.remote_write import FIRST, Samples, compress, make_first

BERLIN = ZoneInfo("Europe/Berlin")
WEEKS = 5
SHOWN = 30  # days that the view shows, today's included
# How many calls a day, how many users, how many of a hundred calls fail, and the days ago of the first and last.
COMPANIES = {"acme": (40, 5, 3, 35, 1), "globex": (22, 3, 9, 20, 1), "initech": (19, 1, 0, 35, 31)}
ROUTES = ("/v1/orders/{}", "/v1/customers/{}", "/v1/invoices")


def _list_days(company: str) -> range:
    """The days ago on which it called."""
    *_, first, last = COMPANIES[company]
    return range(last, first + 1)


def _count_on(company: str, day: int) -> int:
    """How often it called so many days ago."""
    return COMPANIES[company][0] + day * 7 % 12 - day // 2


def count_calls(company: str = "") -> int:
    """How many calls the view counts."""
    names = [company] if company else COMPANIES
    return sum(_count_on(name, day) for name in names for day in _list_days(name) if day < SHOWN)


def build_calls() -> list[dict[str, Any]]:
    """At noon of each day of the browser's zone, in which the days are counted."""
    random = Random(4)
    noon = datetime.now(BERLIN).replace(hour=12, minute=0, second=0, microsecond=0).astimezone(UTC)
    calls = []
    for company, (_, users, failing, *_) in COMPANIES.items():
        for day in _list_days(company):
            for position in range(_count_on(company, day)):
                began = noon - timedelta(days=day, seconds=random.randrange(3_000))
                took = timedelta(milliseconds=int(random.lognormvariate(3.8, 0.7)))
                user = position % users if day < 25 else 0  # the others begin later
                calls.append(
                    {
                        "request": {
                            "time": _show(began),
                            "uri": "https://api.example.com" + random.choice(ROUTES).format(random.randrange(1000)),
                            "verb": "GET",
                            "headers": {"User-Agent": random.choice(("acme-python/2.1.0", "acme-node/1.4.2"))},
                        },
                        "response": {
                            "time": _show(began + took),
                            "status": random.choice((400, 404, 500)) if random.randrange(100) < failing else 200,
                        },
                        "company_id": company,
                        "user_id": f"{company}-{user}",
                        "transaction_id": f"{company}-{day}-{position}",
                    }
                )
    return calls


def _show(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def build_series() -> list[tuple[tuple[tuple[str, str], ...], Samples]]:
    """A counter in two regions that began anew once, and a gauge."""
    noon = int(time.time() // 86_400) * 86_400_000 + 39_600_000
    days = [noon - day * 86_400_000 for day in range(WEEKS * 7, 0, -1)]
    series: list[tuple[tuple[tuple[str, str], ...], Samples]] = []
    for region, step in (("eu", 900), ("us", 400)):
        values = [float(step * (number % 20) + 7 * (number * number % 31)) for number in range(len(days))]
        labels = (("__name__", "http_requests_total"), ("job", "api"), ("region", region))
        series.append((labels, list(zip(days, values, strict=True))))
    lengths = [float(5 + number * 7 % 13) for number in range(len(days))]
    series.append(((("__name__", "queue_length"),), list(zip(days, lengths, strict=True))))
    return series


def load(stack: Stack) -> None:
    """Sends them, and waits until they are there."""
    calls = build_calls()
    _send(stack, "/v1/events/batch", json.dumps(calls).encode(), "application/json")
    _send(stack, "/prometheus/api/v1/write", compress(make_first(build_series())), FIRST)
    await_true(lambda: select(stack, "SELECT count(*) FROM activities")[0][0] >= len(calls), "the API calls")
    await_true(lambda: select(stack, "SELECT count(*) FROM samples")[0][0] >= 3 * 7 * WEEKS, "the samples")


def load_hostile(stack: Stack) -> None:
    """A call, and a series, whose every name tries to be markup; months ago, so that a year alone shows them."""
    began = datetime.now(UTC) - timedelta(days=100)
    item = {
        "request": {"time": _show(began), "uri": f"/{MARKUP}", "verb": "GET", "headers": {"User-Agent": MARKUP}},
        "response": {"time": _show(began), "status": 200},
        "company_id": MARKUP,
        "user_id": MARKUP,
    }
    before = select(stack, "SELECT count(*) FROM activities")[0][0]
    _send(stack, "/v1/events", json.dumps(item).encode(), "application/json")
    labels = (("__name__", MARKUP), ("job", MARKUP))
    message = make_first([(labels, [(int(began.timestamp() * 1000), 1.0)])])
    _send(stack, "/prometheus/api/v1/write", compress(message), FIRST)
    await_true(lambda: select(stack, "SELECT count(*) FROM activities")[0][0] > before, "the hostile call")
    await_true(lambda: bool(select(stack, "SELECT 1 FROM series WHERE name = %s", MARKUP)), "the hostile series")


def _send(stack: Stack, path: str, body: bytes, content_type: str) -> None:
    key = create_api_key(stack.client("dynamodb"), stack.name("ApiKeysTable"), name="sender", scopes=["events:write"])
    headers = {"Content-Type": content_type, "Authorization": f"Bearer {key}"}
    if content_type == FIRST:
        headers |= {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    status, _, answer = call(stack, "POST", path, headers=headers, body=body)
    assert status in (201, 204), answer
