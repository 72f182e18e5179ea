"""Entry point of the summariser, run by a schedule; safe to repeat and to break off."""

import logging
from functools import cache
from typing import Any

from common.clock import now
from common.database import Database, DatabaseSettings, connect
from summarise_hours.summaries import EVENTS, summarise_hours
from summarise_hours.usage import USAGE

LEAST_MILLISECONDS = 240_000  # left for counting another day

log = logging.getLogger(__name__)


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    # Counting reads and sorts days at a time; a load that stands still must not hold all others up behind us for long.
    return Database(lambda: connect(settings, work_mem="32MB", lock_timeout="20s"))


def handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers with what was done; what is left when the time is up is the next run's."""
    answer = {}
    for name, steps in {"events": EVENTS, "usage": USAGE}.items():
        summarised = summarise_hours(
            _database().get(), now(), lambda: context.get_remaining_time_in_millis() > LEAST_MILLISECONDS, steps
        )
        answer[name] = summarised._asdict()
    log.info("hours summarised", extra=answer)
    return answer
