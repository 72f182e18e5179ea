"""Agents scrape an exporter and write to the stack, through a proxy that can lose answers."""

import json
import struct
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from admin.api_keys import create_api_key
from local.stack import Stack
from tests.clients.prometheus import PROMETHEUS, VMAGENT, Package, run_prometheus, run_vmagent
from tests.stack.client import await_true, call, select
from tests.unit.sources.remote_write import make_field, make_varint

TEXT = "text/plain; version=0.0.4"
DELIMITED = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
PATH = "/prometheus/api/v1/write"
WRITTEN = "x-prometheus-remote-write-{}-written"
VALUES = """
SELECT value FROM samples JOIN series USING (series_id) WHERE name = %s AND labels ->> 'job' = %s ORDER BY sampled_at
"""


def need(package: Package) -> pytest.MarkDecorator:
    """Leaves a test out where its agent is not installed."""
    reason = f"Debian's {package.name} {package.version} is not installed"
    return pytest.mark.skipif(not package.path.exists(), reason=reason)


Run = Callable[[Path, dict[str, Any], dict[str, Any]], AbstractContextManager[None]]


class Written(NamedTuple):
    """One request of the agent's and what the stack said to it."""

    body: bytes
    status: int
    headers: dict[str, str]


@contextmanager
def serve(answer: Callable[[BaseHTTPRequestHandler], tuple[int, str, bytes]]) -> Iterator[str]:
    """Runs a server that answers every request by a function; gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content_type, body = answer(self)
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serve_proxy(stack: Stack, lost: int) -> Iterator[tuple[str, list[Written]]]:
    """Runs a proxy before the stack that turns its first answers into 503; gives its address and what went through."""
    requests: list[Written] = []

    def pass_on(request: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        body = request.rfile.read(int(request.headers["content-length"]))
        names = ("authorization", "content-type", "content-encoding", "x-prometheus-remote-write-version")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        status, answered, content = call(stack, "POST", request.path, headers=headers, body=body)
        requests.append(Written(body, status, answered))
        return (503 if len(requests) <= lost else status), "application/json", content

    with serve(pass_on) as address:
        yield address, requests


def scrape(exporter: str, job: str) -> dict[str, Any]:
    """A configuration that scrapes each second."""
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [exporter]}]}],
    }


@pytest.fixture
def write_key(stack: Stack) -> str:
    """An API key that may send."""
    table = stack.name("ApiKeysTable")
    return create_api_key(stack.client("dynamodb"), table, name="agent", scopes=["events:write"])


@pytest.mark.parametrize(
    "run", [pytest.param(run_prometheus, marks=need(PROMETHEUS)), pytest.param(run_vmagent, marks=need(VMAGENT))]
)
def test_agent(stack: Stack, write_key: str, tmp_path: Path, run: Run) -> None:
    """A counter with its customer, one that begins anew, its end; each sample once, though answers are lost."""
    job, company, user = (f"{kind}-{uuid.uuid4()}" for kind in ("job", "company", "user"))
    counts = [5, 9, 9, 12, 2, 4]
    shown: list[int] = []

    def expose(_request: BaseHTTPRequestHandler) -> tuple[int, str, bytes]:
        lines = ["# TYPE calls_total counter", "# TYPE temperature gauge", "temperature 21.5"]
        if counts:
            shown.append(counts.pop(0))
            lines.append(f'calls_total{{company_id="{company}",user_id="{user}",note="a \\"b\\" \\u00e9"}} {shown[-1]}')
        return 200, TEXT, "\n".join([*lines, ""]).encode()

    with serve(expose) as exporter, serve_proxy(stack, lost=2) as (proxy, requests):
        remote = {"url": f"http://{proxy}{PATH}", "authorization": {"credentials": write_key}}
        with run(tmp_path, scrape(exporter, job), remote):
            ended = [5, 9, 9, 12, 2, 4, None]
            await_true(
                lambda: [value for (value,) in select(stack, VALUES, "calls_total", job)] == ended,
                "the counter's samples",
                patience=60,
            )
        assert {one.status for one in requests} == {204}
        bodies = [one.body for one in requests]
        assert len(set(bodies)) < len(bodies)  # what was lost came again
        told = {one.body: int(one.headers[WRITTEN.format("samples")]) for one in requests}
    stored = "SELECT count(*) FROM samples JOIN series USING (series_id) WHERE labels ->> 'job' = %s"
    await_true(lambda: select(stack, stored, job) == [(sum(told.values()),)], "as many samples as were told")
    owners = """
        SELECT name, u.value, c.value, count_increase(series_id, '-infinity', 'infinity')
        FROM series LEFT JOIN identities u USING (identity_id) LEFT JOIN identities c ON c.identity_id = company_id
        WHERE labels ->> 'job' = %s AND name IN ('calls_total', 'temperature', 'up') ORDER BY name
    """
    calls, temperature, up = select(stack, owners, job)
    assert calls == ("calls_total", user, company, 11.0)  # 4 + 0 + 3, then anew: 2 + 2
    assert (temperature[:3], up[:3]) == (("temperature", None, None), ("up", None, None))


@need(PROMETHEUS)
def test_native_histograms_are_told(stack: Stack, write_key: str, tmp_path: Path) -> None:
    """An agent that sends native histograms is told what was not written; all that came beside them is kept."""
    job, company = f"job-{uuid.uuid4()}", f"company-{uuid.uuid4()}"
    label = make_field(1, make_field(1, b"company_id") + make_field(2, company.encode()))
    counter = make_field(3, b"\x09" + struct.pack("<d", 7.0))
    span = make_field(12, b"\x08\x00\x10\x01")
    histogram = make_field(
        7, b"\x08\x04\x11" + struct.pack("<d", 1.5) + b"\x28\x06\x31" + struct.pack("<d", 0.0) + span + b"\x68\x08"
    )
    families = [
        make_field(1, b"calls_total") + b"\x18\x00" + make_field(4, label + counter),
        make_field(1, b"call_seconds") + b"\x18\x04" + make_field(4, label + histogram),
    ]
    exposed = b"".join(make_varint(len(family)) + family for family in families)
    with (
        serve(lambda _request: (200, DELIMITED, exposed)) as exporter,
        serve_proxy(stack, lost=0) as (proxy, requests),
    ):
        remote = {
            "url": f"http://{proxy}{PATH}",
            "basic_auth": {"username": write_key, "password": "any"},
            "send_native_histograms": True,
        }
        with run_prometheus(tmp_path, scrape(exporter, job), remote):
            await_true(lambda: len([one for one in requests if one.status == 400]) >= 2, "refusals", patience=60)
        refused = [one for one in requests if one.status == 400]
        assert {one.headers[WRITTEN.format("histograms")] for one in refused} == {"0"}
        bodies = [one.body for one in requests]
        assert len(set(bodies)) == len(bodies)  # the agent does not send it again
        told = sum(int(one.headers[WRITTEN.format("samples")]) for one in requests)
    stored = (
        "SELECT count(*), max(value) FILTER (WHERE name = 'calls_total') FROM samples JOIN series USING (series_id)"
    )
    stored += " WHERE labels ->> 'job' = %s"
    await_true(lambda: select(stack, stored, job) == [(told, 7.0)], "all that was told to be written")
    reasons = "SELECT DISTINCT reason, item::jsonb -> 'labels' ->> 0 FROM quarantine WHERE item LIKE %s"
    ((reason, name),) = select(stack, reasons, f"%{job}%")
    assert (reason, json.loads(name)) == (
        "native histograms and exemplars are not kept",
        ["__name__", "call_seconds"],
    )
