"""From a webhook to its event in the query API's answer, over HTTP on the local stack."""

from __future__ import annotations

import base64
import json
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from bench.figures import Figure, find_percentile
from bench.progress import count_up, say
from bench.traffic import batches
from local.stack import Stack

ROUNDS, WARM_UP = 120, 10
POLL_SECONDS = 0.002
PATIENCE_S = 30.0


def measure_stack(seed: int) -> list[Figure]:
    """One event a round, each with a recipient, an id and a time of its own."""
    posted: list[float] = []
    queryable: list[float] = []
    show = count_up("webhook to queryable", ROUNDS)
    with (
        tempfile.TemporaryDirectory(prefix="mailwake-bench-") as folder,
        Stack(directory=Path(folder), say=say) as stack,
        closing(HTTPConnection("127.0.0.1", stack.port, timeout=PATIENCE_S)) as connection,
    ):
        for number, body in enumerate(batches(WARM_UP + ROUNDS, seed, batch_size=1)):
            recipient = f"round{number}@bench.example"
            answered, found = _run_round(stack, connection, body, recipient, number)
            if number >= WARM_UP:
                posted.append(answered * 1000)
                queryable.append(found * 1000)
                show(number - WARM_UP + 1)
    return [
        Figure(name="webhook to queryable p50, local stack", measured=f"{median(queryable):.0f} ms"),
        Figure(name="  p99", measured=f"{find_percentile(queryable, 99):.0f} ms"),
        Figure(name="  the webhook's own answer, p50", measured=f"{median(posted):.0f} ms"),
    ]


def _run_round(
    stack: Stack, connection: HTTPConnection, body: bytes, recipient: str, number: int
) -> tuple[float, float]:
    """Seconds from the POST to its answer, and to the event in an answer of the API."""
    instant = datetime.now(UTC)
    login = base64.b64encode(":".join(stack.webhook_auth).encode()).decode()
    webhook_headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
    webhook = _rewrite(body, recipient, instant, number)
    asked = {
        "recipients": recipient,
        "from": f"{instant - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "to": f"{instant + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",  # by default the last minute is left out
    }
    target = f"/api/v1/events/message?{urlencode(asked)}"
    at = time.perf_counter()
    _send(connection, "POST", "/webhooks/sparkpost", webhook_headers, webhook)
    answered = time.perf_counter() - at
    while time.perf_counter() - at < PATIENCE_S:
        if _send(connection, "GET", target, {"Authorization": stack.api_key})["total_count"]:
            return answered, time.perf_counter() - at
        time.sleep(POLL_SECONDS)
    raise RuntimeError(f"an event was not there after {PATIENCE_S:.0f} s")


def _rewrite(body: bytes, recipient: str, instant: datetime, number: int) -> bytes:
    """The body's one event, happening now."""
    (item,) = json.loads(body)
    (fields,) = item["msys"].values()
    fields |= {
        "event_id": str(int(instant.timestamp()) * 1_000_000 + number),
        "rcpt_to": recipient,
        "timestamp": str(int(instant.timestamp())),
    }
    return json.dumps([item]).encode()


def _send(
    connection: HTTPConnection, method: str, target: str, headers: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    connection.request(method, target, body=body, headers=headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {target.partition('?')[0]}: {response.status} {content.decode(errors='replace')}")
    answer: dict[str, Any] = json.loads(content)
    return answer
