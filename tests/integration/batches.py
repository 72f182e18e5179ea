"""Batches for tests that load them."""

import json
from datetime import timedelta
from typing import Any

from s3_loader.batches import Batch, Limits
from tests.integration.conftest import NOW

LIMITS = Limits(oldest=timedelta(days=400), expired_before=NOW - timedelta(days=365))


def make_event(event_id: str, *, event_class: str = "message_event", age: float = 90, **fields: Any) -> dict[str, Any]:
    """A SparkPost event, a delivery unless told otherwise, so many seconds before NOW."""
    timestamp = str(int((NOW - timedelta(seconds=age)).timestamp()))
    event = {"type": "delivery", "event_id": event_id, "timestamp": timestamp, "rcpt_to": "ada@example.com"}
    return {"msys": {event_class: event | fields}}


def make_batch(items: object, key: str = "raw/sparkpost/2026/11/21/12/one") -> Batch:
    """A batch that arrived at NOW."""
    body = items if isinstance(items, bytes) else json.dumps(items).encode()
    return Batch(key, "sparkpost", "batch-1", "request-1", NOW, body)
