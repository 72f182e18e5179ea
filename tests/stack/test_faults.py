"""Faults at each step: nothing is lost and nothing counts twice."""

import json
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from admin.replay import build_notification
from local.stack import Stack
from local.template import REGION
from tests.stack.client import (
    await_events,
    await_true,
    call,
    count_events,
    make_event,
    make_recipient,
    notify,
    post,
    put_batch,
    select,
)


@pytest.fixture
def paused(stack: Stack) -> Iterator[Stack]:
    """The stack while nobody takes messages off the load queue."""
    poller = stack.pollers["S3Loader"]
    stack.await_empty_queue()
    poller.pause()
    try:
        yield stack
    finally:
        poller.resume()


def count_batches(stack: Stack, recipient: str) -> int:
    """How many batches the events of a recipient came in."""
    rows = select(stack, "SELECT count(DISTINCT batch_id) FROM events WHERE recipient = %s", recipient)
    return int(rows[0][0])


def test_s3_refuses(stack: Stack) -> None:
    """While S3 refuses, the webhook answers 5xx so that the provider retries; the retry is loaded."""
    recipient = make_recipient()
    batch = [make_event(recipient)]
    with stack.fault(refuse_s3=True):
        assert post(stack, batch) >= 500
    assert count_events(stack, recipient) == 0
    assert post(stack, batch) == 200
    await_events(stack, recipient, 1)


def test_s3_refuses_to_be_read(stack: Stack) -> None:
    """A batch that the loader cannot read stays in the queue and is loaded once S3 gives it."""
    recipient = make_recipient()
    with stack.fault(refuse_s3_reads=True):
        assert post(stack, [make_event(recipient)]) == 200
        await_true(lambda: has_failed_once(stack), "a failed load")
        assert count_events(stack, recipient) == 0
    await_events(stack, recipient, 1)


def has_failed_once(stack: Stack) -> bool:
    """Whether the loader has just been invoked in vain: messages are out, but no worker is busy with them."""
    busy = any(worker.current and not worker.current.done.is_set() for worker in stack.pools["S3Loader"].workers())
    return stack.count_messages("LoadQueue") > 0 and not busy


def test_postgres_down_and_back(stack: Stack) -> None:
    """While Postgres is down, webhooks are still taken and queries fail with 5xx; all is loaded once it is back."""
    recipient = make_recipient()
    stack.stop_postgres()
    try:
        assert post(stack, [make_event(recipient)]) == 200
        status, _, _ = call(stack, "GET", "/api/v1/events/message", headers={"Authorization": stack.api_key})
        assert status in (500, 503)
    finally:
        stack.start_postgres()
    await_events(stack, recipient, 1)
    stack.await_empty_queue()
    assert count_events(stack, recipient) == 1


def test_query_survives_a_restart_of_postgres(stack: Stack) -> None:
    """A query worker whose connection is dead answers the next query over a new one."""
    headers = {"Authorization": stack.api_key}
    assert call(stack, "GET", "/api/v1/events/message", headers=headers)[0] == 200
    stack.stop_postgres()
    stack.start_postgres()
    await_true(lambda: call(stack, "GET", "/api/v1/events/message", headers=headers)[0] == 200, "an answer", patience=5)


def test_same_notification_ten_times(stack: Stack) -> None:
    """S3 may tell of an object any number of times: it is one batch, and its events are there once."""
    recipient = make_recipient()
    with stack.fault(notification_copies=10):
        assert post(stack, [make_event(recipient) for _ in range(20)]) == 200
    await_events(stack, recipient, 20)
    stack.await_empty_queue()
    assert count_events(stack, recipient) == 20
    assert count_batches(stack, recipient) == 1


def test_late_notification(stack: Stack) -> None:
    """A notification that takes its time only delays the load."""
    recipient = make_recipient()
    with stack.fault(notification_delay=1.0):
        assert post(stack, [make_event(recipient)]) == 200
        assert count_events(stack, recipient) == 0
    await_events(stack, recipient, 1)


def test_two_loaders_on_one_object(paused: Stack) -> None:
    """Two loaders that get the same object at once load it once, and both are content."""
    recipient = make_recipient()
    key = f"raw/sparkpost/2026/01/01/00/{recipient}"
    with paused.fault(notification_copies=0):
        put_stored(paused, key, [make_event(recipient) for _ in range(2000)])
    results: list[dict[str, Any]] = []
    barrier = threading.Barrier(4)

    def load() -> None:
        barrier.wait()
        result = paused.pools["S3Loader"].invoke(build_load_event(paused, key))
        assert result is not None
        results.append(json.loads(result.payload))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [{"batchItemFailures": []}] * 4
    assert count_events(paused, recipient) == 2000
    assert count_batches(paused, recipient) == 1


def put_stored(stack: Stack, key: str, events: list[Any]) -> None:
    """Stores a batch with the metadata of the listener."""
    received_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    put_batch(stack, key, events, **{"provider": "sparkpost", "received-at": received_at, "request-id": "test"})


def build_load_event(stack: Stack, key: str) -> bytes:
    """The loader's event for one object."""
    notification = build_notification(
        stack.name("RawBucket"), {"Key": key, "Size": 1, "ETag": "0"}, region=REGION, event_name="ObjectCreated:Put"
    )
    record = {"messageId": "1", "receiptHandle": "1", "body": json.dumps(notification), "eventSource": "aws:sqs"}
    return json.dumps({"Records": [record]}).encode()


def test_notification_before_the_object_is_readable(stack: Stack) -> None:
    """A notification of an object that is not there yet comes back, and the object is loaded once it is there."""
    recipient = make_recipient()
    key = f"raw/sparkpost/2026/01/01/00/{recipient}"
    notify(stack, key)
    await_true(lambda: has_failed_once(stack), "a failed load")
    with stack.fault(notification_copies=0):
        put_stored(stack, key, [make_event(recipient)])
    await_events(stack, recipient, 1)


def test_unparseable_body_goes_to_quarantine(stack: Stack) -> None:
    """A body that is no JSON is answered 200 (it is stored) and ends in quarantine as a whole."""
    find = "SELECT reason FROM quarantine WHERE item_index IS NULL"
    before = len(select(stack, find))
    assert post(stack, f'[{{"msys": {{"{make_recipient()}"'.encode()) == 200
    await_true(lambda: len(select(stack, find)) > before, "a quarantined body")
    assert "JSON" in select(stack, find + " ORDER BY loaded_at DESC")[0][0]


@pytest.mark.slow
def test_poisoned_object_ends_in_the_dead_letter_queue(stack: Stack) -> None:
    """An object that can never be loaded is given up after the template's tries, and holds back nothing else."""
    key = f"raw/sparkpost/2026/01/01/00/poisoned-{make_recipient()}"
    put_batch(stack, key, [])  # without the listener's metadata
    recipient = make_recipient()
    assert post(stack, [make_event(recipient)]) == 200
    await_events(stack, recipient, 1)
    await_true(lambda: stack.count_messages("LoadDeadLetterQueue") == 1, "a dead letter", patience=40)
    sqs, queue_url = stack.client("sqs"), stack.queue_url("LoadDeadLetterQueue")
    (letter,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert "poisoned-" in letter["Body"]
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=letter["ReceiptHandle"])
    stack.client("s3").delete_object(Bucket=stack.name("RawBucket"), Key=key)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_loader_killed_in_the_middle_of_a_load(paused: Stack, number: signal.Signals) -> None:
    """A loader that dies in the middle of a load leaves nothing half loaded; its batches are loaded by the next one."""
    recipient = make_recipient()
    sizes = [300] * 20
    for size in sizes:
        assert post(paused, [make_event(recipient) for _ in range(size)]) == 200
    paused.pollers["S3Loader"].resume()
    await_true(lambda: is_loading(paused), "a load under way")
    assert paused.kill_workers("S3Loader", number) > 0
    await_events(paused, recipient, sum(sizes))
    assert f"Runtime exited: signal: {number.name}" in paused.log_path("S3Loader").read_text()
    paused.await_empty_queue()
    assert count_events(paused, recipient) == sum(sizes)


def is_loading(stack: Stack) -> bool:
    """Whether a loader is at work right now."""
    return any(worker.current and not worker.current.done.is_set() for worker in stack.pools["S3Loader"].workers())


@pytest.mark.slow
def test_kill_in_the_middle_of_200_batches(paused: Stack) -> None:
    """All loaders are killed, three times over, in the middle of 200 batches: every event is there once."""
    recipient = make_recipient()
    for _ in range(200):
        assert post(paused, [make_event(recipient) for _ in range(40)]) == 200
    paused.pollers["S3Loader"].resume()
    for share in (0.2, 0.4, 0.6):
        await_events(paused, recipient, int(8000 * share))
        await_true(lambda: is_loading(paused) or not paused.count_messages("LoadQueue"), "a load under way")
        assert paused.kill_workers("S3Loader") > 0
    await_events(paused, recipient, 8000, patience=60)
    paused.await_empty_queue()
    distinct = "SELECT count(*), count(DISTINCT event_key) FROM events WHERE recipient = %s"
    assert select(paused, distinct, recipient) == [(8000, 8000)]
    assert paused.count_messages("LoadDeadLetterQueue") == 0
