"""The mailer works a batch off at once: one record holds no other up, and each has its own end."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
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
