"""S3's event notifications, as they come through SQS.

Source: "Event message structure" in the S3 User Guide. Replays send the same message with `"eventName": "Replay"`.
"""

import json
from typing import NamedTuple
from urllib.parse import unquote_plus

REPLAY = "Replay"


class Notification(NamedTuple):
    """One object to load; `replay`: even if it is loaded already."""

    bucket: str
    object_key: str
    replay: bool


def read_notification(body: str) -> list[Notification]:
    """The objects that a message tells of; S3's own test message tells of none. Raises `ValueError`."""
    message = json.loads(body)
    if message.get("Event") == "s3:TestEvent":
        return []
    try:
        return [
            Notification(
                bucket=record["s3"]["bucket"]["name"],
                object_key=unquote_plus(record["s3"]["object"]["key"]),
                replay=record["eventName"] == REPLAY,
            )
            for record in message["Records"]
        ]
    except (KeyError, TypeError) as failure:
        raise ValueError(f"not an S3 notification: {failure!r} is missing") from None
