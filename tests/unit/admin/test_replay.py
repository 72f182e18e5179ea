"""Replaying stored batches, with S3 and SQS of moto's."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import boto3
import pytest
from moto import mock_aws

from admin.replay import ReplayError, replay

BUCKET = "raw-bucket"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any, str]]:
    """S3 with a bucket, SQS with a queue, and the queue's URL."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        make: Any = boto3.client
        s3, sqs = make("s3", region_name="us-east-1"), make("sqs", region_name="us-east-1")
        s3.create_bucket(Bucket=BUCKET)
        yield s3, sqs, sqs.create_queue(QueueName="load")["QueueUrl"]


def receive_all(sqs: Any, queue_url: str) -> list[dict[str, Any]]:
    """All messages of a queue."""
    bodies = []
    while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in messages]
    return bodies


def test_every_object_is_sent(aws: tuple[Any, Any, str]) -> None:
    """Each object under the prefix is told of once, in the order of keys, its key encoded as S3 does."""
    s3, sqs, queue_url = aws
    keys = [f"raw/sparkpost/2026/01/01/{hour:02}/a b+ü" for hour in range(23)]
    for key in [*keys, "other/x"]:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"[]")
    shown: list[int] = []
    assert replay(s3, sqs, bucket=BUCKET, queue_url=queue_url, progress=shown.append) == 23
    assert shown == [10, 20, 23]
    records = [message["Records"][0] for message in receive_all(sqs, queue_url)]
    assert [unquote_plus(record["s3"]["object"]["key"]) for record in records] == keys
    assert {record["eventName"] for record in records} == {"Replay"}
    assert {record["s3"]["bucket"]["name"] for record in records} == {BUCKET}
    assert "/" in records[0]["s3"]["object"]["key"]


def test_prefix(aws: tuple[Any, Any, str]) -> None:
    """A prefix narrows the replay."""
    s3, sqs, queue_url = aws
    for key in ("raw/a/1", "raw/b/1"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"[]")
    assert replay(s3, sqs, bucket=BUCKET, queue_url=queue_url, prefix="raw/b/") == 1


def test_refused_message_is_an_error(aws: tuple[Any, Any, str]) -> None:
    """A message that SQS does not take is not passed over."""
    s3, _, queue_url = aws
    s3.put_object(Bucket=BUCKET, Key="raw/x", Body=b"[]")

    class RefusingQueue:
        """An SQS that is too busy."""

        def send_message_batch(self, QueueUrl: str, Entries: list[Any]) -> dict[str, Any]:  # noqa: N803
            """Takes nothing."""
            return {"Successful": [], "Failed": [{"Id": "0", "Message": "busy"}]}

    with pytest.raises(ReplayError, match="busy"):
        replay(s3, RefusingQueue(), bucket=BUCKET, queue_url=queue_url)
