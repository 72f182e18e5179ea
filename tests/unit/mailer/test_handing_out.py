"""Messages of the queue, from Lambda's event to what becomes of them."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.objects import StoredObject
from mailer import app
from mailer.app import BrokenError, handler, read_waiting
from mailer.sending import LaterError, Waiting

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Queue:
    """SQS; all objects of S3, and what sends them."""

    def __init__(self) -> None:
        self.hidden: dict[str, int] = {}
        self.sent: list[tuple[str, Waiting]] = []

    def change_message_visibility(self, **given: Any) -> None:
        """Hides a message."""
        self.hidden[given["ReceiptHandle"]] = given["VisibilityTimeout"]

    def close(self) -> None:
        """SES's client drops its connections."""

    def get(self, key: str) -> StoredObject:
        """An object that says its own name."""
        return StoredObject(json.dumps({"id": key}).encode(), {})

    def send(self, body: dict[str, Any], waiting: Waiting) -> str:
        """Sends, or not, by the name."""
        self.sent.append((body["id"], waiting))
        if "later" in body["id"]:
            raise LaterError(timedelta(minutes=5))
        if "broken" in body["id"]:
            raise KeyError(body["id"])
        return "sent"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    """An empty one."""
    queue = Queue()
    found: dict[str, Callable[..., Any]] = {
        "_client": lambda _: queue,
        "_find_bucket": lambda _: queue,
        "_sender": lambda: queue,
        "now": lambda: NOW,
    }
    for name, value in found.items():
        monkeypatch.setattr(app, name, value)
    for name in ("MAIL_QUEUE_URL", "LEDGER_TABLE", "UNSUBSCRIBE_SECRET_ID", "NOTIFICATION_SECRET_ID"):
        monkeypatch.setenv(name, "q")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    return queue


def make_event(*names: str) -> dict[str, Any]:
    """Lambda's event of messages about these objects, sent two days ago and handed out for the third time."""
    attributes = {"ApproximateReceiveCount": "3", "SentTimestamp": str(int((NOW.timestamp() - 172_800) * 1000))}
    records = []
    for name in names:
        body = {"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": f"outbox/{name}"}}}]}
        record = {"messageId": name, "receiptHandle": f"h-{name}", "attributes": attributes, "body": json.dumps(body)}
        records.append(record)
    return {"Records": records}


def test_what_is_to_come_again_is_hidden_until_then(queue: Queue) -> None:
    """The others are done."""
    assert handler(make_event("a", "later"), None) == {"batchItemFailures": [{"itemIdentifier": "later"}]}
    assert queue.hidden == {"h-later": 300}
    assert sorted(queue.sent) == [(f"outbox/{name}", Waiting(3, timedelta(days=2))) for name in ("a", "later")]


def test_what_cannot_be_dealt_with_fails_the_function(queue: Queue, caplog: pytest.LogCaptureFixture) -> None:
    """So that an alarm rings at once, days before the dead-letter queue has it; the others are worked off, too.

    What failed may hold an address: the log has its kind alone.
    """
    with pytest.raises(BrokenError) as caught:
        handler(make_event("broken", "a"), None)
    assert (str(caught.value), caught.value.__cause__) == ("1", None)
    assert {name for name, _ in queue.sent} == {"outbox/broken", "outbox/a"}
    assert "outbox" not in caplog.text


def test_message_without_a_past_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a test of SQS's own sends it."""
    monkeypatch.setattr(app, "now", lambda: datetime.now(UTC))
    waiting = read_waiting({})
    assert waiting.received == 1
    assert abs(waiting.age) < timedelta(seconds=5)
