"""Entry point of the evaluator, run by a schedule; safe to repeat and to break off."""

import logging
from functools import cache
from typing import Any

from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.outbox import publish
from common.clock import now
from common.database import Database, DatabaseSettings, connect
from common.objects import Bucket
from common.settings import read_text

log = logging.getLogger(__name__)


class CohortsFailedError(Exception):
    """Some cohorts could not be evaluated; each says why in the API. The others are."""


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    return Database(lambda: connect(settings, work_mem="64MB"))


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers with what was done. Raises `CohortsFailedError` behind it, for the alarm."""
    connection = _database().get()
    ticked = evaluate_cohorts(connection, now())
    published = publish(connection, Bucket(read_text("OUTBOX_BUCKET")))
    log.info("cohorts evaluated", extra={**ticked._asdict(), "published": published})
    if ticked.failed:
        raise CohortsFailedError(f"{ticked.failed} of {ticked.cohorts} cohorts failed; GET /api/v1/cohorts tells why")
    return ticked._asdict()
