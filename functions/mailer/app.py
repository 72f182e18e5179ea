"""Entry point of the mailer: SQS records, each a notification of one object of the outbox."""

import json
import logging
import os
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3
from botocore.config import Config

from common.clock import now
from common.json_text import decode_json
from common.objects import Bucket
from common.secrets import KeptSecret, NamedSecrets
from common.settings import read_text
from common.suppression_table import SuppressionTable
from mailer.ledger import Ledger
from mailer.members import MemberMails
from mailer.outgoing import Outgoing
from mailer.pace import Pace
from mailer.sending import LaterError, Sender
from mailer.unsubscribing import read_keys

log = logging.getLogger(__name__)
# Whoever repeats an attempt must know of it: the ledger does, the client does not.
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=30)


@cache
def _sender() -> Sender:
    ses = boto3.client("sesv2", config=ONCE)
    suppressions = SuppressionTable(read_text("SUPPRESSIONS_TABLE"))
    return Sender(
        ledger=Ledger(boto3.client("dynamodb"), read_text("LEDGER_TABLE")),
        reports=Bucket(read_text("RAW_BUCKET")),
        outgoing=Outgoing(os.environ.get("INTERNAL_WEBHOOK_HOSTS", "").split(",")),
        ses=ses,
        members=MemberMails(
            ses=ses,
            suppressions=suppressions,
            keys=KeptSecret(read_text("UNSUBSCRIBE_SECRET_ID"), read_keys),
            unsubscribe_url=read_text("UNSUBSCRIBE_URL"),
            sender=os.environ.get("SENDER_ADDRESS", ""),
            sender_name=os.environ.get("SENDER_NAME", ""),
            configuration_set=os.environ.get("CONFIGURATION_SET", ""),
            wait=Pace(ses).wait,
        ),
        suppressions=suppressions,
        is_paused=read_text("MAIL_PAUSED") == "true",
        find_secrets=NamedSecrets(read_text("NOTIFICATION_SECRET_ID")).find,
        sender=os.environ.get("SENDER_ADDRESS", ""),
        configuration_set=os.environ.get("CONFIGURATION_SET", ""),
        console=os.environ.get("CONSOLE_URL", ""),
        send_unknown=read_text("UNKNOWN_SENDS") == "again",
        clock=now,
    )


@cache
def _queue() -> Any:
    return boto3.client("sqs")


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers with the records that are to come again, each after its own pause (`ReportBatchItemFailures`)."""
    failed = []
    for record in event["Records"]:
        try:
            for bucket, key in list_objects(record["body"]):
                _sender().send(decode_json(Bucket(bucket).get(key).body))
        except LaterError as later:
            seconds = int(later.pause.total_seconds())
            _queue().change_message_visibility(
                QueueUrl=read_text("MAIL_QUEUE_URL"), ReceiptHandle=record["receiptHandle"], VisibilityTimeout=seconds
            )
            failed.append({"itemIdentifier": record["messageId"]})
        except Exception as failure:  # noqa: BLE001 (the others of the batch go on; it comes again)
            log.error("failed", extra={"error": type(failure).__qualname__})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def list_objects(body: str) -> list[tuple[str, str]]:
    """Bucket and key of the objects that a message tells of; S3's own test message tells of none."""
    records = json.loads(body).get("Records", ())
    return [(one["s3"]["bucket"]["name"], unquote_plus(one["s3"]["object"]["key"])) for one in records]
