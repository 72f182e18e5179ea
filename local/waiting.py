"""Waiting for queues."""

from typing import Any


def count_messages(sqs: Any, queue_url: str) -> int:
    """The messages of a queue, visible and in flight."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
    return sum(int(value) for value in attributes.values())
