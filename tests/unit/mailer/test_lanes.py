"""The mailer works a batch off at once: one record holds no other up, and each has its own end."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError

from mailer import app
from mailer.sending import LaterError, Waiting


class Stored(NamedTuple):
    """An object."""

    body: bytes


class World:
    """The outbox, whose objects say what becomes of them; SQS; and a sender that waits until all lanes are busy."""

    def __init__(self, records: int) -> None:
        self.barrier = threading.Barrier(records)
        self.hidden: dict[str, int] = {}
        self.refuses = False
        self.closed = 0
        self.waiting: list[Waiting] = []

    def get(self, key: str) -> Stored:
        """S3: an object that is its own key."""
        return Stored(json.dumps({"id": key}).encode())

    def send(self, body: dict[str, Any], waiting: Waiting) -> str:
        """The sender."""
        self.barrier.wait(5)
        self.waiting.append(waiting)
        if "later" in body["id"]:
            raise LaterError(timedelta(minutes=2))
        if "broken" in body["id"]:
            raise ValueError(body["id"])
        return "sent"

    def change_message_visibility(self, **given: Any) -> None:
        """SQS."""
        if self.refuses:
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "ChangeMessageVisibility")
        self.hidden[given["ReceiptHandle"]] = given["VisibilityTimeout"]

    def close(self) -> None:
        """SES's client drops its connections."""
        self.closed += 1

    def handle(self, *names: str) -> list[str]:
        """Hands these objects over; the messages that are to come again."""
        answer = app.handler({"Records": [make_record(name) for name in names]}, None)
        return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def make_record(name: str) -> dict[str, Any]:
    """A message of the queue."""
    event = {"Records": [{"s3": {"bucket": {"name": "outbox"}, "object": {"key": name}}}]}
    attributes = {"ApproximateReceiveCount": "3", "SentTimestamp": "1795000000000"}
    return {"messageId": name, "receiptHandle": f"r-{name}", "body": json.dumps(event), "attributes": attributes}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """As many records as there are lanes."""
    world = World(app.LANES)
    monkeypatch.setenv("MAIL_QUEUE_URL", "https://sqs.example.com/1/mails")
    for name in ("_client", "_find_bucket"):
        monkeypatch.setattr(app, name, lambda _: world)
    for name in ("_sender", "_pace", "_unsubscribe_keys", "_notification_secrets"):
        monkeypatch.setattr(app, name, lambda: world)
    app._lanes.cache_clear()
    monkeypatch.setattr(app, "_worked_at", 0.0)
    yield world
    app._lanes().shutdown()
    app._lanes.cache_clear()


def test_batch_is_worked_off_at_once(world: World) -> None:
    """All of it is under way together; what is not due comes again after its own pause, and nothing else does."""
    names = [f"later-{number}" if number % 5 == 0 else f"n-{number}" for number in range(app.LANES)]
    later = [name for name in names if name.startswith("later")]
    assert world.handle(*names) == later
    assert world.hidden == {f"r-{name}": 120 for name in later}
    assert {one.received for one in world.waiting} == {3}


def test_broken_record_fails_the_batch_when_the_others_are_done(world: World) -> None:
    """An alarm counts it; what was sent is settled in the ledger, and is not sent again."""
    world.barrier = threading.Barrier(3)
    with pytest.raises(app.BrokenError):
        world.handle("n-1", "broken-1", "n-2")
    assert len(world.waiting) == 3


def test_message_that_cannot_be_hidden_comes_again_sooner(world: World) -> None:
    """SQS hands it out by its own clock then; the rest of the batch is not harmed."""
    world.barrier = threading.Barrier(2)
    world.refuses = True
    assert world.handle("later-1", "n-1") == ["later-1"]


def test_connections_to_ses_that_idled_are_dropped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """SES may have closed them while the function was frozen, and a mail by such a one would be told as unknown."""
    world.barrier = threading.Barrier(1)
    monkeypatch.setattr(app, "_worked_at", time.time())
    world.handle("n-1")
    world.handle("n-2")
    assert world.closed == 0
    monkeypatch.setattr(app, "_worked_at", time.time() - app.IDLE_SECONDS)
    world.handle("n-3")
    assert world.closed == 1
    world.handle("n-4")
    assert world.closed == 1


def test_client_of_ses_goes_on_when_it_was_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It connects anew."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ports.add(self.client_address[1])
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    ports: set[int] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", f"http://127.0.0.1:{server.server_address[1]}")
        app._client.cache_clear()
        client = app._client("sesv2")
        app._client.cache_clear()
        for expected in (1, 1, 2):
            if expected == 2:
                client.close()
            client.get_account()
            assert len(ports) == expected
        client.close()
        server.shutdown()
