"""From a notification to a loaded batch."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection as Connection

from common.clock import now
from common.database import Database, DatabaseSettings, DatabaseUnavailableError, connect, is_transient
from common.objects import Bucket
from common.retention import find_retention_start, start_week
from common.settings import read_number, read_text
from s3_loader.batches import Batch, Limits, read_batch
from s3_loader.behaviour import BehaviourLoader
from s3_loader.contents import Content, count_items
from s3_loader.deliveries import PROVIDER, load_delivery
from s3_loader.dimensions import Dimensions
from s3_loader.loading import CONFLICTS, Load, Loader, NotStoredError
from s3_loader.notifications import Notification
from s3_loader.preparing import Prepared
from sources import find_source

ATTEMPTS = 3
BACKOFF_SECONDS = 0.2  # doubled with each attempt
# What may be loaded together with others: as much of it is in memory at once as objects come at once.
SMALL = 512 * 1024  # bytes of a body
FEW = 5_000  # things that it says

log = logging.getLogger(__name__)


class _Begun(NamedTuple):
    """An object that another thread is at."""

    ready: Future[tuple[Batch, Prepared | None]]
    stored: Future[None]  # what its events share


@dataclass(kw_only=True)
class LoaderService:
    """What a loader keeps between invocations."""

    database: Database
    aside: Database  # the same one, for what is prepared meanwhile
    max_event_age: timedelta
    retention_months: int
    activity_retention_weeks: int
    open_bucket: Callable[[str], Bucket] = Bucket
    clock: Callable[[], datetime] = now
    sleep: Callable[[float], None] = time.sleep
    loader: Loader = field(default_factory=Loader)
    _behaviour_loader: BehaviourLoader = field(default_factory=BehaviourLoader)
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _fetched: dict[str, Batch] = field(default_factory=dict)
    _loaded: dict[str, Load] = field(default_factory=dict)
    # Another thread reads and prepares one object while another one is loaded; only it speaks with S3 meanwhile, and
    # over `aside` with the database.
    _ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _coming: deque[Notification] = field(default_factory=deque)
    _begun: dict[Notification, "_Begun"] = field(default_factory=dict)

    @classmethod
    def build(cls) -> "LoaderService":
        """From the environment."""
        settings = DatabaseSettings.read()
        return cls(
            database=Database(lambda: connect(settings)),
            aside=Database(lambda: connect(settings, lock_timeout="2s")),  # what waits for us might be waited for
            loader=Loader(Dimensions(read_text("USER_METADATA_KEY"))),
            max_event_age=timedelta(days=read_number("MAX_EVENT_AGE_DAYS")),
            retention_months=read_number("RETENTION_MONTHS"),
            activity_retention_weeks=read_number("ACTIVITY_RETENTION_WEEKS"),
        )

    def load(self, notification: Notification) -> Load:
        """Loads one object. Raises what keeps it from being loaded; then nothing of it is in the database."""
        if notification.object_key in self._loaded and not notification.replay:
            return self._loaded[notification.object_key]
        started = time.perf_counter()
        if notification in self._coming:
            self._coming.remove(notification)
        begun = self._begun.pop(notification, None) or self._begin(notification)
        batch, prepared = begun.ready.result()
        load = self._load_batch(batch, prepared, begun.stored, replay=notification.replay)
        _log_load(batch, load, started)
        return load

    def _begin(self, notification: Notification) -> _Begun:
        """Begins with an object in the other thread."""
        ready: Future[tuple[Batch, Prepared | None]] = Future()
        return _Begun(ready, self._ahead.submit(self._prepare, notification, ready))

    def _prepare(self, notification: Notification, ready: Future[tuple[Batch, Prepared | None]]) -> None:
        """Reads an object, and prepares it where it holds events; what can't be prepared now is in its turn."""
        try:
            batch = self._fetch(notification)
            prepared = None
            if not notification.replay and batch.provider != PROVIDER and find_source(batch.provider) is None:
                prepared = self._prepare_batch(batch, ready)
            if not ready.done():
                ready.set_result((batch, prepared))
        except BaseException as failure:
            if ready.done():
                raise
            ready.set_exception(failure)

    def _prepare_batch(self, batch: Batch, ready: Future[tuple[Batch, Prepared | None]]) -> Prepared | None:
        try:
            return self.loader.prepare(
                self.aside.get(), batch, self._find_limits(), lambda prepared: ready.set_result((batch, prepared))
            )
        except (psycopg2.Error, DatabaseUnavailableError) as failure:
            self.aside.close()
            log.warning("not prepared: %s", getattr(failure, "pgcode", None) or type(failure).__name__)
            if ready.done():
                raise
            return None

    def _begin_next(self) -> None:
        """Begins the next object while this one is loaded: never more than one, each takes memory."""
        if self._coming and not self._begun:
            notification = self._coming.popleft()
            self._begun[notification] = self._begin(notification)

    def take_in(self, notifications: Iterable[Notification]) -> None:
        """Tells of what came at once, before each is loaded by `load`."""
        self._begun.clear()
        self._ahead.submit(int).result()  # whatever the thread is still at, an object that failed among it, is over
        given = list(dict.fromkeys(notifications))
        self._load_together(given)
        self._coming = deque(one for one in given if one.object_key not in self._loaded)
        self.loader.expect([one.object_key for one in self._coming])

    def _load_together(self, notifications: Iterable[Notification]) -> None:
        """Loads what came at once of behaviour in one transaction, where it is small and all new.

        A transaction costs as much as a hundred calls, and many bodies hold fewer. Whatever is left, for whatever
        reason, is for `load`, which tells what is wrong; it passes over what was loaded here.
        """
        self._fetched.clear()
        self._loaded.clear()
        chosen = {
            one.object_key: one
            for one in notifications
            if not one.replay and find_source(one.object_key.removeprefix("raw/").partition("/")[0]) is not None
        }
        if len(chosen) < 2:
            return
        started = time.perf_counter()
        try:
            batches = [self._fetched.setdefault(one.object_key, self._fetch(one)) for one in chosen.values()]
            small = [batch for batch in batches if len(batch.body) <= SMALL]
            if len(small) < 2:
                return
            loads = self._behaviour_loader.load_together(self.database.get(), self.aside.get(), small, self._read_small)
        except Exception as failure:  # noqa: BLE001 - whatever it is, each object is tried alone and meets it again
            code = getattr(failure, "pgcode", None)
            log.info("not loaded together: %s", code or type(failure).__name__)
            if code not in CONFLICTS:
                self.database.close()
                self.aside.close()
            return
        for batch in small:
            if (load := loads.get(batch.object_key)) is not None:
                self._loaded[batch.object_key] = load
                del self._fetched[batch.object_key]
                _log_load(batch, load, started)

    def _read_small(self, batch: Batch) -> Content | None:
        """What a batch of behaviour says, unless it is too much."""
        source = find_source(batch.provider)
        if source is None:
            return None
        content = self._behaviour_loader.read(source, batch, self._find_behaviour_limits())
        return content if count_items(content) + len(content.unparseable) <= FEW else None

    def _fetch(self, notification: Notification) -> Batch:
        batch = self._fetched.pop(notification.object_key, None)
        if batch is None:
            bucket = self._buckets.setdefault(notification.bucket, self.open_bucket(notification.bucket))
            batch = read_batch(notification.object_key, bucket.get(notification.object_key))
        return batch

    def _find_limits(self) -> Limits:
        return Limits(self.max_event_age, find_retention_start(self.clock(), self.retention_months))

    def _find_behaviour_limits(self) -> Limits:
        return Limits(self.max_event_age, start_week(self.clock(), -self.activity_retention_weeks))

    def _load_batch(self, batch: Batch, prepared: Prepared | None, stored: Future[None], *, replay: bool) -> Load:
        load = self._choose_load(batch, prepared, stored, replay=replay)
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

    def _choose_load(
        self, batch: Batch, prepared: Prepared | None, stored: Future[None], *, replay: bool
    ) -> Callable[[Connection], Load]:
        """What loads a batch: mails' events, behaviour, or what the mailer reports."""
        if batch.provider == PROVIDER:
            return lambda connection: load_delivery(connection, batch, replay=replay)
        source = find_source(batch.provider)
        if source is None:

            def go_on() -> None:
                self._begin_next()
                if stored.exception() is not None:  # told already, by the thread
                    raise NotStoredError

            return lambda connection: self.loader.load(
                connection,
                batch,
                self._find_limits(),
                replay=replay,
                prepared=prepared,
                meanwhile=go_on,
            )
        content = self._behaviour_loader.read(source, batch, self._find_behaviour_limits())
        return lambda connection: self._behaviour_loader.load(connection, batch, content, replay=replay)


def _log_load(batch: Batch, load: Load, started: float) -> None:
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
