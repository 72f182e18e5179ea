"""Runs functions by the clock: `rate(…)` from the start on, so that a fresh stack has its partitions, and `cron(…)`."""

import json
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from local.declared import Schedule, read_rate
from local.template import ACCOUNT_ID, REGION, TemplateError
from local.workers import FunctionPool, Result

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class Clock:
    """One thread per schedule."""

    def __init__(self, *, on_failure: Callable[[str, Result], None]) -> None:
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, schedule: Schedule, pool: FunctionPool) -> None:
        """Runs a `rate` schedule once now and waits for it, then goes on in the background; a `cron` only there."""
        interval = read_rate(schedule.expression)
        cron = None if interval else Cron(schedule.expression)
        if interval is not None:
            self._run(schedule, pool)

        def repeat() -> None:
            while True:
                now = datetime.now(UTC)
                pause = interval if interval is not None else _next(cron, now) - now
                if self._stopping.wait(pause.total_seconds()):
                    return
                self._run(schedule, pool)

        thread = threading.Thread(target=repeat, name=f"schedule of {schedule.function}", daemon=True)
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """Runs nothing more."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(1)

    def _run(self, schedule: Schedule, pool: FunctionPool) -> None:
        result = pool.invoke((schedule.input or json.dumps(build_scheduled_event())).encode())
        if result is not None and result.error is not None and not self._stopping.is_set():
            self._on_failure(schedule.function, result)


def _next(cron: "Cron | None", now: datetime) -> datetime:
    assert cron is not None
    return cron.find_next(now)


def build_scheduled_event() -> dict[str, object]:
    """What EventBridge gives a function that a rule runs."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/local"],
        "detail": {},
    }


class Cron:
    """An EventBridge cron expression: minutes, hours, day of month, month, day of week, year; UTC.

    Lists, ranges, steps, names, `*` and `?`; not L, W and #.
    """

    def __init__(self, expression: str) -> None:
        text = expression.strip()
        if not (text.startswith("cron(") and text.endswith(")")) or len(text[5:-1].split()) != 6:
            raise TemplateError(f"the local stack does not know the schedule {expression!r}")
        minutes, hours, days, months, weekdays, years = text[5:-1].upper().split()
        try:
            self._minutes = _read_field(minutes, 0, 59)
            self._hours = _read_field(hours, 0, 23)
            self._days = _read_field(days, 1, 31)
            self._months = _read_field(months, 1, 12, _MONTHS)
            self._weekdays = _read_field(weekdays, 1, 7, _DAYS)
            self._years = _read_field(years, 1970, 2199)
        except ValueError as error:
            raise TemplateError(f"the local stack does not know the schedule {expression!r}") from error

    def find_next(self, after: datetime) -> datetime:
        """The first instant after `after` that matches."""
        instant = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = after + timedelta(days=366 * 5)
        while instant < end:
            if not self._matches_day(instant):
                instant = instant.replace(hour=0, minute=0) + timedelta(days=1)
            elif instant.hour in self._hours and instant.minute in self._minutes:
                return instant
            else:
                instant += timedelta(minutes=1)
        return end

    def _matches_day(self, instant: datetime) -> bool:
        weekday = instant.isoweekday() % 7 + 1  # EventBridge: 1 is Sunday
        return (
            instant.year in self._years
            and instant.month in self._months
            and instant.day in self._days
            and weekday in self._weekdays
        )


def _read_field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    def number(word: str) -> int:
        return names.index(word) + low if word in names else int(word)

    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            first, last = (number(word) for word in span.split("-"))
        else:
            first = number(span)
            last = high if step else first
        values.update(range(first, last + 1, int(step or 1)))
    return frozenset(values)
