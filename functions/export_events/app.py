"""Entry point of the exporter: SQS records, each a notification of one request in the bucket of exports."""

import json
import logging
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

import boto3

from common.database import DatabaseSettings, connect
from common.objects import Bucket
from common.settings import read_text
from export_events.exporting import Exporter
from query_events.export_files import REQUESTS, ExportFiles

# As the query function plans, but for the time that a statement may take.
SESSION = {"join_collapse_limit": "1", "enable_hashjoin": "off", "enable_mergejoin": "off"}
LEAST_MILLISECONDS = 30_000  # left for saying that an export takes too long

log = logging.getLogger(__name__)


@cache
def _exporter() -> Exporter:
    bucket = read_text("EXPORT_BUCKET")
    settings = DatabaseSettings.read()
    return Exporter(
        connect=lambda: connect(settings, **SESSION),
        files=ExportFiles(Bucket(bucket)),
        client=boto3.client("s3"),
        bucket=bucket,
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Makes each export; one that fails says so where its status is read, and is not tried again by itself."""
    for export_id in read_ids(event):
        _exporter().export(export_id, lambda: context.get_remaining_time_in_millis() > LEAST_MILLISECONDS)
    return {"batchItemFailures": []}


def read_ids(event: dict[str, Any]) -> list[str]:
    """The exports that the records ask for; S3's own test message asks for none."""
    records = [record for message in event["Records"] for record in json.loads(message["body"]).get("Records", ())]
    keys = [unquote_plus(record["s3"]["object"]["key"]) for record in records]
    return [key.removeprefix(REQUESTS).removesuffix(".json") for key in keys]
