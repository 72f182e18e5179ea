"""From a notification to a loaded batch."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg2
from psycopg2.extensions import connection as Connection

from common.clock import now
from common.database import Database, DatabaseSettings, connect, is_transient
from common.objects import Bucket
from common.retention import find_retention_start, start_week
from common.settings import read_number, read_text
from s3_loader.batches import Batch, Limits, parse_batch, read_batch
from s3_loader.behaviour import BehaviourLoader, read_content
from s3_loader.dimensions import Dimensions
from s3_loader.loading import Load, Loader
from s3_loader.notifications import Notification
from sources import find_source

ATTEMPTS = 3
BACKOFF_SECONDS = 0.2  # doubled with each attempt

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class LoaderService:
    """What a loader keeps between invocations."""

    database: Database
    max_event_age: timedelta
    retention_months: int
    activity_retention_weeks: int
    open_bucket: Callable[[str], Bucket] = Bucket
    clock: Callable[[], datetime] = now
    sleep: Callable[[float], None] = time.sleep
    loader: Loader = field(default_factory=Loader)
    _behaviour_loader: BehaviourLoader = field(default_factory=BehaviourLoader)
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    @classmethod
    def build(cls) -> "LoaderService":
        """From the environment."""
        settings = DatabaseSettings.read()
        return cls(
            database=Database(lambda: connect(settings)),
            loader=Loader(Dimensions(read_text("USER_METADATA_KEY"))),
            max_event_age=timedelta(days=read_number("MAX_EVENT_AGE_DAYS")),
            retention_months=read_number("RETENTION_MONTHS"),
            activity_retention_weeks=read_number("ACTIVITY_RETENTION_WEEKS"),
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
        load = self._choose_load(batch, replay=replay)
        for attempt in range(ATTEMPTS):
            try:
                return load(self.database.get())
            except psycopg2.Error as failure:
                self.database.close()
                if not is_transient(failure) or attempt == ATTEMPTS - 1:
                    raise
                log.warning("database: %s, trying again", failure.pgcode or type(failure).__name__)
            self.sleep(BACKOFF_SECONDS * 2**attempt)
        raise AssertionError("unreachable")

    def _choose_load(self, batch: Batch, *, replay: bool) -> Callable[[Connection], Load]:
        """What loads a batch: mails' events, or behaviour."""
        instant = self.clock()
        source = find_source(batch.provider)
        if source is None:
            limits = Limits(self.max_event_age, find_retention_start(instant, self.retention_months))
            return lambda connection: self.loader.load(
                connection, batch, lambda: parse_batch(batch, limits), replay=replay
            )
        limits = Limits(self.max_event_age, start_week(instant, -self.activity_retention_weeks))
        content = read_content(source, batch, limits)
        return lambda connection: self._behaviour_loader.load(connection, batch, content, replay=replay)
