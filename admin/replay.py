"""Replays stored batches: sends the load queue the message that S3 sent when each was stored, marked as a replay.

Loading is idempotent: events that are loaded already stay as they are, missing ones are loaded, and what is in
quarantine is parsed again.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

REPLAY = "Replay"  # the event name by which the loader knows to load a batch again that is loaded already
BATCH = 10  # SQS takes at most this many messages at once

Progress = Callable[[int], None]  # called with the number of objects sent so far


def list_objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """All objects under a prefix, in the order of their keys, which is that of their hours."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def build_notification(bucket: str, stored: dict[str, Any], *, region: str, event_name: str = REPLAY) -> dict[str, Any]:
    """S3's message about one object, as far as it can be known afterwards.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html (keys are form-encoded)
    """
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": region,
                "eventTime": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "eventName": event_name,
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "replay",
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {
                        "key": quote_plus(stored["Key"], safe="/"),
                        "size": stored["Size"],
                        "eTag": stored["ETag"].strip('"'),
                    },
                },
            }
        ]
    }


def replay(
    s3: Any, sqs: Any, *, bucket: str, queue_url: str, prefix: str = "raw/", progress: Progress | None = None
) -> int:
    """Sends a message for every object under the prefix; gives their number. Raises ReplayError when one is refused."""
    sent = 0
    waiting: list[dict[str, str]] = []
    region = s3.meta.region_name
    for stored in list_objects(s3, bucket, prefix):
        body = json.dumps(build_notification(bucket, stored, region=region))
        waiting.append({"Id": str(len(waiting)), "MessageBody": body})
        if len(waiting) == BATCH:
            sent += _send(sqs, queue_url, waiting)
            waiting = []
            if progress is not None:
                progress(sent)
    if waiting:
        sent += _send(sqs, queue_url, waiting)
    if progress is not None:
        progress(sent)
    return sent


class ReplayError(Exception):
    """SQS did not take a message: run the replay again, what was sent already does no harm."""


def _send(sqs: Any, queue_url: str, entries: list[dict[str, str]]) -> int:
    answer = sqs.send_message_batch(QueueUrl=queue_url, Entries=entries)
    if answer.get("Failed"):
        failed = answer["Failed"][0]
        raise ReplayError(
            f"SQS refused {len(answer['Failed'])} of {len(entries)} messages: {failed.get('Message', '')}"
        )
    return len(entries)
