"""Entry point of the evaluator, run by a schedule; safe to repeat and to break off."""

import logging
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from cohort_evaluator.caps import Caps
from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.mail_pause import Limits
from cohort_evaluator.mailing import Rules
from cohort_evaluator.outbox import publish
from common.clock import now
from common.database import Database, DatabaseSettings, connect
from common.objects import Bucket
from common.settings import read_number, read_text

log = logging.getLogger(__name__)


class CohortsFailedError(Exception):
    """Some cohorts could not be evaluated; each says why in the API. The others are."""


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    return Database(lambda: connect(settings, work_mem="64MB", temp_buffers="64MB"))


@cache
def _rules() -> Rules:
    return Rules(
        Caps(read_number("MOST_MAILS_PER_DAY"), read_number("MOST_MAILS_PER_WEEK")),
        ZoneInfo(read_text("MAIL_TIME_ZONE")),
        Limits(
            bounces=float(read_text("MAIL_PAUSE_BOUNCES")),
            complaints=float(read_text("MAIL_PAUSE_COMPLAINTS")),
            last=read_number("MAIL_PAUSE_LAST"),
            minimum=read_number("MAIL_PAUSE_MINIMUM"),
        ),
    )


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers with what was done. Raises `CohortsFailedError` behind it, for the alarm."""
    connection = _database().get()
    ticked = evaluate_cohorts(connection, now(), _rules())
    published = publish(connection, Bucket(read_text("OUTBOX_BUCKET")))
    log.info("cohorts evaluated", extra={**ticked._asdict(), "published": published})
    if ticked.failed:
        raise CohortsFailedError(f"{ticked.failed} of {ticked.cohorts} cohorts failed; GET /api/v1/cohorts tells why")
    return ticked._asdict()
