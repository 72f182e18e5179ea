"""Entry point of the mailer: SQS records, each a notification of one object of the outbox."""

import contextlib
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from common.clock import now
from common.json_text import decode_json
from common.objects import Bucket
from common.secrets import KeptSecret, NamedSecrets
from common.settings import read_text
from common.suppression_table import SuppressionTable
from mailer.items import Items
from mailer.ledger import Ledger
from mailer.members import MemberMails
from mailer.outgoing import Outgoing
from mailer.pace import Pace
from mailer.sending import LaterError, Sender, Waiting
from mailer.unsubscribing import Keys, read_keys

log = logging.getLogger(__name__)
LANES: Final = 20  # records under way at once, BatchSize in template.yaml: most of the time each waits for an answer
# Whoever repeats an attempt must know of it: the ledger does, the client does not.
ONCE = Config(
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=LANES,
)
IDLE_SECONDS: Final = 5.0  # after which SES may have closed a connection: a frozen function does not hear of it
DONE, LATER, BROKEN = "done", "later", "broken"
_lane = threading.local()
_worked_at = 0.0  # when the last batch ended, in seconds since 1970


class BrokenError(Exception):
    """How many messages could not be dealt with; the log tells why."""


@cache
def _client(service: str) -> Any:
    make: Any = boto3.client
    return make(service, config=ONCE if service == "sesv2" else Config(max_pool_connections=LANES))


@cache
def _pace() -> Pace:
    return Pace(_client("sesv2"), read_text("LEDGER_TABLE"))


@cache
def _unsubscribe_keys() -> Keys:
    return KeptSecret(read_text("UNSUBSCRIBE_SECRET_ID"), read_keys)


@cache
def _notification_secrets() -> NamedSecrets:
    return NamedSecrets(read_text("NOTIFICATION_SECRET_ID"))


@cache
def _lanes() -> ThreadPoolExecutor:
    for service in ("sesv2", "sqs"):
        _client(service)  # they are for all lanes, and are not made by several at once
    _pace(), _unsubscribe_keys(), _notification_secrets()
    return ThreadPoolExecutor(LANES)


def _sender() -> Sender:
    """The lane's own."""
    if not hasattr(_lane, "sender"):
        _lane.sender = _build_sender()
    sender: Sender = _lane.sender
    return sender


def _build_sender() -> Sender:
    ses = _client("sesv2")
    suppressions = SuppressionTable(read_text("SUPPRESSIONS_TABLE"))
    return Sender(
        ledger=Ledger(Items(), read_text("LEDGER_TABLE")),
        reports=Bucket(read_text("RAW_BUCKET")),
        outgoing=Outgoing(os.environ.get("INTERNAL_WEBHOOK_HOSTS", "").split(",")),
        ses=ses,
        members=MemberMails(
            ses=ses,
            suppressions=suppressions,
            keys=_unsubscribe_keys(),
            unsubscribe_url=read_text("UNSUBSCRIBE_URL"),
            sender=os.environ.get("SENDER_ADDRESS", ""),
            sender_name=os.environ.get("SENDER_NAME", ""),
            configuration_set=os.environ.get("CONFIGURATION_SET", ""),
        ),
        wait=_pace().wait,
        suppressions=suppressions,
        is_paused=read_text("MAIL_PAUSED") == "true",
        find_secrets=_notification_secrets().find,
        sender=os.environ.get("SENDER_ADDRESS", ""),
        configuration_set=os.environ.get("CONFIGURATION_SET", ""),
        console=os.environ.get("CONSOLE_URL", ""),
        send_unknown=read_text("UNKNOWN_SENDS") == "again",
        clock=now,
    )


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers with the records that are to come again, each after its own pause (`ReportBatchItemFailures`).

    Raises `BrokenError` where one met what should not be: an alarm counts it, and all of the batch comes again.
    """
    global _worked_at
    records, lanes = event["Records"], _lanes()
    if time.time() - _worked_at >= IDLE_SECONDS:
        _client("sesv2").close()
    ends = list(lanes.map(_work_off, records))
    _worked_at = time.time()
    if broken := ends.count(BROKEN):
        raise BrokenError(broken)
    later = [record["messageId"] for record, end in zip(records, ends, strict=True) if end == LATER]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in later]}


def _work_off(record: dict[str, Any]) -> str:
    """One record, in a lane: what became of it."""
    try:
        for bucket, key in list_objects(record["body"]):
            body = decode_json(_find_bucket(bucket).get(key).body)
            _sender().send(body, read_waiting(record.get("attributes", {})))
    except LaterError as later:
        with contextlib.suppress(ClientError, BotoCoreError):  # it comes again all the same, sooner or later
            _client("sqs").change_message_visibility(
                QueueUrl=read_text("MAIL_QUEUE_URL"),
                ReceiptHandle=record["receiptHandle"],
                VisibilityTimeout=int(later.pause.total_seconds()),
            )
        return LATER
    except Exception as failure:  # noqa: BLE001 (the others of the batch go on; it comes again)
        log.error("failed", extra={"error": type(failure).__qualname__})
        return BROKEN
    return DONE


def _find_bucket(name: str) -> Bucket:
    """The lane's own, whose connection is kept."""
    buckets: dict[str, Bucket] = _lane.__dict__.setdefault("buckets", {})
    if name not in buckets:
        buckets[name] = Bucket(name)
    return buckets[name]


def read_waiting(attributes: Mapping[str, str]) -> Waiting:
    """What SQS tells of a message."""
    sent = datetime.fromtimestamp(int(attributes.get("SentTimestamp", time.time() * 1000)) / 1000, UTC)
    return Waiting(int(attributes.get("ApproximateReceiveCount", 1)), now() - sent)


def list_objects(body: str) -> list[tuple[str, str]]:
    """Bucket and key of the objects that a message tells of; S3's own test message tells of none."""
    records = json.loads(body).get("Records", ())
    return [(one["s3"]["bucket"]["name"], unquote_plus(one["s3"]["object"]["key"])) for one in records]
