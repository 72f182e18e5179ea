"""API calls of a few companies, as Moesif's clients send them, and what the API says of them."""

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from admin.api_keys import create_api_key
from local.stack import Stack

# Who calls how often, and how many of a hundred calls fail.
COMPANIES = {"acme": (60, 5), "globex": (30, 20), "initech": (10, 0)}
ROUTES = ("/v1/orders/{}", "/v1/customers/{}", "/v1/invoices")
COLUMNS = {
    "company": "company",
    "calls": "calls",
    "errors": "errors",
    "error rate": "error_rate_of_calls",
    "p50 ms": "milliseconds_p50",
    "p99 ms": "milliseconds_p99",
}


def make_calls(now: datetime) -> list[dict[str, Any]]:
    """The calls of the last hour; the same ones but for the time."""
    random, calls = Random(1), []
    for company, (number, failing) in COMPANIES.items():
        for position in range(number):
            began = now - timedelta(seconds=random.randrange(60, 3600))
            ended = began + timedelta(milliseconds=random.randrange(5, 400))
            fails = position < number * failing // 100
            calls.append(
                {
                    "request": {
                        "time": began.isoformat(timespec="milliseconds"),
                        "uri": "https://api.example.com" + random.choice(ROUTES).format(random.randrange(1000)),
                        "verb": "GET",
                        "headers": {"User-Agent": "acme-python/2.1.0"},
                    },
                    "response": {"time": ended.isoformat(timespec="milliseconds"), "status": 400 if fails else 200},
                    "company_id": company,
                    "user_id": f"{company}-{position % 4}",
                    "transaction_id": f"demo-{company}-{position}",
                }
            )
    return calls


def send_calls(stack: Stack, calls: Sequence[Mapping[str, Any]]) -> int:
    """Posts a batch of calls with a key of its own; the status."""
    key = create_api_key(
        stack.client("dynamodb"), stack.name("ApiKeysTable"), name="demo-sender", scopes=["events:write"]
    )
    headers = {"Content-Type": "application/json", "X-Moesif-Application-Id": key}
    return _ask(stack, "POST", "/v1/events/batch", headers, json.dumps(calls).encode())[0]


def await_usage(stack: Stack, calls: int, patience: float) -> dict[str, Any]:
    """The numbers by company once all calls are counted, or what there is when patience ends."""
    query = urllib.parse.urlencode({"group_by": "company"})
    deadline = time.monotonic() + patience
    while True:
        _, body = _ask(stack, "GET", f"/api/v1/usage?{query}", {"Authorization": stack.api_key})
        found: dict[str, Any] = json.loads(body)
        if found["total"]["calls"] >= calls or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def draw_usage(found: Mapping[str, Any]) -> str:
    """A table of the companies, the one with the most calls first."""
    rows = [[*COLUMNS], *([str(row[name]) for name in COLUMNS.values()] for row in found["results"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _ask(stack: Stack, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=40)) as connection:
        connection.request(method, target, body=body or None, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
