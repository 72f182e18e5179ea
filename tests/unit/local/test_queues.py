"""Which messages a function's answer deletes."""

import json
from typing import Any

import pytest

from local.queues import build_record, read_failures
from local.workers import Result


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, None),
        ({"batchItemFailures": [{"wrong": "a"}]}, None),
        ("text", None),
    ],
)
def test_partial_failures(answer: Any, failures: set[str] | None) -> None:
    """As Lambda reads it: nothing named is a success, named items failed, anything malformed is a whole failure."""
    assert read_failures(Result(payload=json.dumps(answer).encode()), reports_items=True) == failures


def test_error_fails_the_whole_batch() -> None:
    """A function that failed has deleted nothing."""
    assert read_failures(Result(payload=b"{}", error="Unhandled"), reports_items=True) is None


def test_answer_is_ignored_unless_asked_for() -> None:
    """Without ReportBatchItemFailures an answer means success."""
    answer = json.dumps({"batchItemFailures": [{"itemIdentifier": "a"}]}).encode()
    assert read_failures(Result(payload=answer), reports_items=False) == set()


def test_record() -> None:
    """A message has the names that Lambda gives its parts."""
    message = {
        "MessageId": "1",
        "ReceiptHandle": "2",
        "Body": "{}",
        "MD5OfBody": "3",
        "Attributes": {"ApproximateReceiveCount": "1"},
    }
    record = build_record(message, "arn:aws:sqs:us-east-1:123456789012:q")
    assert record["messageId"] == "1"
    assert record["receiptHandle"] == "2"
    assert record["body"] == "{}"
    assert record["attributes"] == {"ApproximateReceiveCount": "1"}
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:q"
