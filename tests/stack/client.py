"""What the whole-stack tests do with a stack: send batches, ask the API, look into the database."""

import base64
import contextlib
import gzip
import http.client
import itertools
import json
import time
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2

from admin.replay import build_notification
from local.stack import Stack
from local.template import REGION
from tests.declared import check_answer

_numbers = itertools.count(int(time.time() * 1_000_000))


def make_event(recipient: str, *, kind: str = "delivery", age: int = 120, **fields: Any) -> dict[str, Any]:
    """One message event of SparkPost's, `age` seconds old, with an id of its own."""
    own = {
        "type": kind,
        "event_id": str(next(_numbers)),
        "timestamp": str(int(time.time()) - age),
        "rcpt_to": recipient,
        "subject": "Your order",
        "campaign_id": "orders",
    }
    return {"msys": {"message_event": {**own, **fields}}}


def make_recipient() -> str:
    """An address that no other test uses."""
    return f"{uuid.uuid4().hex[:12]}@example.com"


def call(
    stack: Stack, method: str, target: str, *, headers: dict[str, str] | None = None, body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request; gives status, headers in lower case and body. What the API answers must be as it declares."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=40)) as connection:
        connection.request(method, target, body=body or None, headers=headers or {})
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        content = response.read()
    if target.startswith("/api/"):
        plain = gzip.decompress(content) if content and "content-encoding" in answered else content
        check_answer(method, target, response.status, answered, plain)
    return response.status, answered, content


def basic_auth(stack: Stack) -> dict[str, str]:
    """The header that the webhook asks for."""
    return {"Authorization": "Basic " + base64.b64encode(":".join(stack.webhook_auth).encode()).decode()}


def post(stack: Stack, events: Sequence[Any] | bytes) -> int:
    """Posts a batch as SparkPost does; gives the status."""
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    headers = {"Content-Type": "application/json", "X-MessageSystems-Batch-ID": uuid.uuid4().hex, **basic_auth(stack)}
    return call(stack, "POST", "/webhooks/sparkpost", headers=headers, body=body)[0]


def query(stack: Stack, recipient: str) -> list[dict[str, Any]]:
    """The events of a recipient that the API gives."""
    target = f"/api/v1/events/message?{urllib.parse.urlencode({'recipients': recipient})}"
    status, _, body = call(stack, "GET", target, headers={"Authorization": stack.api_key})
    assert status == 200, body
    results: list[dict[str, Any]] = json.loads(body)["results"]
    return results


def select(stack: Stack, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows from the database, as its superuser."""
    with contextlib.closing(psycopg2.connect(stack.database_dsn())) as connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


def count_events(stack: Stack, recipient: str) -> int:
    """How many events of a recipient are loaded."""
    return int(select(stack, "SELECT count(*) FROM events WHERE recipient = %s", recipient)[0][0])


def await_events(stack: Stack, recipient: str, number: int, *, patience: float = 30.0) -> None:
    """Waits until that many events of a recipient are loaded."""
    await_true(lambda: count_events(stack, recipient) >= number, f"{number} events of {recipient}", patience=patience)


def await_true(holds: Callable[[], bool], what: str, *, patience: float = 30.0) -> None:
    """Waits until something holds; fails the test if it does not."""
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, f"waited {patience:.0f} s in vain for {what}"
        time.sleep(0.03)


def put_batch(stack: Stack, key: str, events: Sequence[Any], **metadata: str) -> None:
    """Stores a batch under a key of the test's own, with the metadata that it gives."""
    stack.client("s3").put_object(
        Bucket=stack.name("RawBucket"),
        Key=key,
        Body=json.dumps(events).encode(),
        ContentType="application/json",
        Metadata=metadata,
    )


def notify(stack: Stack, key: str) -> None:
    """Tells the load queue of an object, as S3 does."""
    message = build_notification(
        stack.name("RawBucket"), {"Key": key, "Size": 1, "ETag": "0"}, region=REGION, event_name="ObjectCreated:Put"
    )
    stack.client("sqs").send_message(QueueUrl=stack.queue_url("LoadQueue"), MessageBody=json.dumps(message))
