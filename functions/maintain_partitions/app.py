"""Entry point of the maintenance, run by a schedule; safe to repeat."""

import logging
from functools import cache
from typing import Any

from common.clock import now
from common.database import Database, DatabaseSettings, connect
from common.settings import read_number
from maintain_partitions.partitions import maintain_partitions

log = logging.getLogger(__name__)


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    return Database(lambda: connect(settings))


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answers with what was done."""
    maintenance = maintain_partitions(
        _database().get(),
        now(),
        premake_months=read_number("PREMAKE_MONTHS"),
        retention_months=read_number("RETENTION_MONTHS"),
        activity_retention_weeks=read_number("ACTIVITY_RETENTION_WEEKS"),
    )
    log.info("partitions maintained", extra=maintenance._asdict())
    return maintenance._asdict()
