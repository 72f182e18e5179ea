"""Entry point of the loader: SQS records, each a notification of one stored batch."""

import gc
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from s3_loader.notifications import Notification, read_notification
from s3_loader.service import LoaderService

# A batch is tens of thousands of objects that are freed as soon as it is loaded: collecting them midway is in vain.
gc.freeze()
gc.set_threshold(1_000_000, 20, 20)
# One thread renders while another speaks with Postgres, which has next to nothing to compute: it should not wait 5 ms.
sys.setswitchinterval(0.000_2)

_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def _service() -> LoaderService:
    return LoaderService.build()


def load_record(record: SQSRecord) -> None:
    """Loads the batches that one record tells of; an exception leaves the record in the queue."""
    for notification in read_notification(record.body):
        _service().load(notification)


def list_notifications(event: dict[str, Any]) -> Iterator[Notification]:
    """The objects that all records tell of; a record that can't be read is told of in its turn."""
    for record in event["Records"]:
        with suppress(ValueError):
            yield from read_notification(record["body"])


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers with the records that are to come again (`ReportBatchItemFailures`)."""
    _service().take_in(list_notifications(event))
    return dict(
        process_partial_response(event=event, record_handler=load_record, processor=_processor, context=context)
    )
