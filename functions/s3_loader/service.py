"""From a notification to a loaded batch."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg2

from common.clock import now
from common.database import Database, DatabaseSettings, connect, is_transient
from common.objects import Bucket
from common.retention import find_retention_start
from common.settings import read_number
from s3_loader.batches import Batch, Limits, parse_batch, read_batch
from s3_loader.loading import Load, Loader
from s3_loader.notifications import Notification

ATTEMPTS = 3
BACKOFF_SECONDS = 0.2  # doubled with each attempt

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class LoaderService:
    """What a loader keeps between invocations."""

    database: Database
    max_event_age: timedelta
    retention_months: int
    open_bucket: Callable[[str], Bucket] = Bucket
    clock: Callable[[], datetime] = now
    sleep: Callable[[float], None] = time.sleep
    _loader: Loader = field(default_factory=Loader)
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    @classmethod
    def build(cls) -> "LoaderService":
        """From the environment."""
        settings = DatabaseSettings.read()
        return cls(
            database=Database(lambda: connect(settings)),
            max_event_age=timedelta(days=read_number("MAX_EVENT_AGE_DAYS")),
            retention_months=read_number("RETENTION_MONTHS"),
        )

    def load(self, notification: Notification) -> Load:
        """Loads one object. Raises what keeps it from being loaded; then nothing of it is in the database."""
        started = time.perf_counter()
        bucket = self._buckets.setdefault(notification.bucket, self.open_bucket(notification.bucket))
        batch = read_batch(notification.object_key, bucket.get(notification.object_key))
        load = self._load_batch(batch, replay=notification.replay)
        log.info(
            "batch %s",
            load.outcome.value,
            extra={
                "object_key": batch.object_key,
                "provider": batch.provider,
                "events": load.events,
                "duplicates": load.duplicates,
                "quarantined": load.quarantined,
                "expired": load.expired,
                "milliseconds": round((time.perf_counter() - started) * 1000),
            },
        )
        return load

    def _load_batch(self, batch: Batch, *, replay: bool) -> Load:
        limits = Limits(self.max_event_age, find_retention_start(self.clock(), self.retention_months))
        for attempt in range(ATTEMPTS):
            try:
                return self._loader.load(self.database.get(), batch, lambda: parse_batch(batch, limits), replay=replay)
            except psycopg2.Error as failure:
                self.database.close()
                if not is_transient(failure) or attempt == ATTEMPTS - 1:
                    raise
                log.warning("database: %s, trying again", failure.pgcode or type(failure).__name__)
            self.sleep(BACKOFF_SECONDS * 2**attempt)
        raise AssertionError("unreachable")
