"""An event source mapping: takes messages off a queue, invokes a function with them, and deletes those that succeeded.

A message that is not deleted comes back after the queue's visibility timeout, and moves to the dead-letter queue once
it has been received as often as the redrive policy says: SQS (moto) does both by itself.
"""

import contextlib
import json
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.declared import QueueConsumer
from local.template import REGION
from local.workers import FunctionPool, Result

RECEIVE_LIMIT = 10  # SQS gives at most this many messages at once
POLL_S = 1  # how long one receive waits for a message


class QueuePoller:
    """Polls one queue for one function; as many batches are under way at once as the mapping allows."""

    def __init__(self, consumer: QueueConsumer, pool: FunctionPool, *, sqs: Any, queue_url: str) -> None:
        self._consumer = consumer
        self._pool = pool
        self._sqs = sqs
        self._queue_url = queue_url
        self._stopping = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._slots = threading.Semaphore(pool.limit)
        self._executor = ThreadPoolExecutor(pool.limit, thread_name_prefix=f"queue of {consumer.function}")
        self._thread = threading.Thread(target=self._poll, name=f"poll for {consumer.function}", daemon=True)

    def start(self) -> None:
        """Begins to poll, in a thread."""
        self._thread.start()

    def pause(self) -> None:
        """Takes no more messages until `resume`; what is under way goes on."""
        self._running.clear()

    def resume(self) -> None:
        """Polls again."""
        self._running.set()

    def stop(self) -> None:
        """Stops polling. A receive that waits for messages ends with the queue's server, nobody waits for it."""
        self._stopping.set()
        self._running.set()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._running.wait()
            if not self._slots.acquire(timeout=0.5):
                continue
            try:
                messages = self._receive()
            except (BotoCoreError, ClientError):
                messages = []
                self._stopping.wait(0.5)  # the queue is away: it is asked again
            if not messages or not self._submit(messages):
                self._slots.release()

    def _submit(self, messages: list[dict[str, Any]]) -> bool:
        try:
            self._executor.submit(self._hand_over, messages)
        except RuntimeError:  # the executor is shut down: the stack stops
            return False
        return True

    def _receive(self) -> list[dict[str, Any]]:
        """A batch: what is there at once, or what comes within the mapping's window after the first message."""
        messages: list[dict[str, Any]] = []
        deadline: float | None = None
        while len(messages) < self._consumer.batch_size:
            remaining = 0.0 if deadline is None else deadline - time.monotonic()
            if deadline is not None and remaining <= 0:
                break
            received = self._sqs.receive_message(
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=min(RECEIVE_LIMIT, self._consumer.batch_size - len(messages)),
                WaitTimeSeconds=POLL_S,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            ).get("Messages", [])
            messages += received
            if not messages or not self._consumer.window:
                break
            deadline = deadline or time.monotonic() + self._consumer.window
        return messages

    def _hand_over(self, messages: Sequence[dict[str, Any]]) -> None:
        try:
            event = {"Records": [build_record(message, self._consumer.queue_arn) for message in messages]}
            result = self._pool.invoke(json.dumps(event).encode())
            assert result is not None  # only a limited patience gives none
            failed = read_failures(result, reports_items=self._consumer.reports_item_failures)
            if failed is not None and failed <= {message["MessageId"] for message in messages}:
                self._delete(message for message in messages if message["MessageId"] not in failed)
        finally:
            self._slots.release()

    def _delete(self, messages: Iterable[dict[str, Any]]) -> None:
        entries = [{"Id": str(i), "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(messages)]
        for start in range(0, len(entries), RECEIVE_LIMIT):
            batch = entries[start : start + RECEIVE_LIMIT]
            with contextlib.suppress(BotoCoreError, ClientError):  # then they come again, which consumers must bear
                self._sqs.delete_message_batch(QueueUrl=self._queue_url, Entries=batch)


def build_record(message: dict[str, Any], queue_arn: str) -> dict[str, Any]:
    """One SQS message as Lambda hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": message.get("MessageAttributes", {}),
        "md5OfBody": message.get("MD5OfBody", ""),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }


def read_failures(result: Result, *, reports_items: bool) -> set[str] | None:
    """The ids of the messages that failed; None if the whole batch did.

    As Lambda reads a partial batch response: an empty or missing list is a success, anything malformed a whole failure.
    """
    if result.error is not None:
        return None
    if not reports_items:
        return set()
    answer = json.loads(result.payload)
    if answer is None:
        return set()
    if not isinstance(answer, dict):
        return None
    failures = answer.get("batchItemFailures") or []
    ids = [failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures]
    return None if not all(isinstance(one, str) and one for one in ids) else {str(one) for one in ids}
