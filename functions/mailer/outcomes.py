"""What becomes of an attempt, and when there is another one."""

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from typing import Final, NamedTuple

SENT: Final = "sent"
FAILED: Final = "failed"  # for good; the error says why
RETRYING: Final = "retrying"
UNKNOWN: Final = "unknown"
SUPPRESSED: Final = "suppressed"  # she must not get it
HELD_OUT: Final = "held_out"  # she is one of those who get nothing, so that what mails do can be told
# About three days in all, as Standard Webhooks suggest.
PAUSES: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 600, 1800, 3600, 7200, 14_400, 28_800, 43_200, 43_200, 43_200)
)
HOURLY: Final = 6  # the first of the pauses that is an hour
# SQS hides a message for twelve hours from when it was received, and an attempt takes some of them.
LONGEST_PAUSE: Final = timedelta(hours=11, minutes=55)


class Outcome(NamedTuple):
    """Of one attempt."""

    state: str
    error: str = ""  # in words, without addresses and secrets
    status: int | None = None  # of HTTP
    message_id: str = ""  # SES's
    pause: timedelta | None = None  # asked for by the other side, where it is to be tried again
    is_postponed: bool = False  # no fault of the mail: it uses up none of its attempts


def retry(error: str, status: int | None = None, retry_after: str = "", now: datetime | None = None) -> Outcome:
    """It did not go, and is tried again."""
    return Outcome(RETRYING, error, status, pause=read_retry_after(retry_after, now) if now else None)


def postpone(error: str, status: int | None, pause: timedelta | None = None) -> Outcome:
    """The other side takes none now, whichever it is."""
    return Outcome(RETRYING, error, status, pause=pause, is_postponed=True)


def find_pause(outcome: Outcome, attempt: int, random: Random, received: int = 1) -> timedelta | None:
    """How long to wait before the next attempt, with jitter; None where there is none any more.

    `received` is how often the queue has handed it out: what is postponed waits for longer each time, up to an hour.
    """
    if outcome.is_postponed:
        number = min(received, HOURLY)
    elif attempt > len(PAUSES):
        return None
    else:
        number = attempt
    pause = PAUSES[number - 1] * random.uniform(0.8, 1.2)
    return min(max(pause, outcome.pause or pause), LONGEST_PAUSE)


def read_retry_after(text: str, now: datetime) -> timedelta | None:
    """A Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    if text.strip().isdecimal() and len(text) < 10:
        return timedelta(seconds=int(text))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta(0))
    except (ValueError, TypeError):
        return None
