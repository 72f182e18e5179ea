"""Lists of whom not to mail that come as a whole: our own entries, and those of SparkPost's suppression list.

SparkPost's: `{"recipient", "type", "source", "description", "created", "updated", "subaccount_id", "list_id"}`, before
that `transactional` and `non_transactional` instead of `type`. Source: its API reference, "Suppression List".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg2.extensions import connection as Connection

from cohort_evaluator.reading import DefinitionError, read_object
from cohort_evaluator.suppressing import ALL, MANUAL, read_new_address, read_topic
from common.clock import format_instant
from common.events import BOUNCED, COMPLAINED, UNSUBSCRIBED, Json
from common.json_text import encode_json

MOST: Final = 10_000  # entries of one request
REASONS: Final = (BOUNCED, COMPLAINED, UNSUBSCRIBED, MANUAL)
SPARKPOST: Final = "sparkpost"
TYPES: Final = ("transactional", "non_transactional")
# Their words on the left; others, as "Manually Added" and "Compliance", are by hand.
SOURCES: Final[Mapping[str, str]] = {
    "bounce rule": BOUNCED,
    "spam complaint": COMPLAINED,
    "list unsubscribe": UNSUBSCRIBED,
    "unsubscribe link": UNSUBSCRIBED,
}
SUPPRESS: Final = "SELECT suppress(%s)"
COUNT: Final = "SELECT count(*) FROM suppressions WHERE at = now()"
# What is not dated may be older than a removal.
REMOVED: Final = "SELECT address, topic FROM suppressions WHERE removed_at IS NOT NULL AND address = ANY (%s)"


class Entry(NamedTuple):
    """Whom not to mail, why, and since when."""

    address: str  # lower case
    topic: str  # * for every mail
    reason: str
    source: str  # sparkpost, or who gave it to us
    at: datetime | None  # None where that is not known


def read_own(given: object, place: str, instant: datetime, by: str) -> Entry:
    """`{"address", "topic", "reason", "event_at"}`; all but the first may be missing. Raises `DefinitionError`."""
    entry = read_object(given, place, required=("address",), optional=("topic", "reason", "event_at"))
    reason = entry.get("reason", MANUAL)
    if reason not in REASONS:
        raise DefinitionError(f"{place}.reason", f"is one of {', '.join(REASONS)}")
    at = _read_time(entry["event_at"], f"{place}.event_at", instant) if "event_at" in entry else instant
    topic = read_topic(entry.get("topic", ALL), f"{place}.topic")
    return Entry(read_new_address(entry["address"], f"{place}.address"), topic, reason, by, at)


def read_sparkpost(given: object, place: str, instant: datetime) -> Entry:
    """One of SparkPost's; what it has beside is left out. Raises `DefinitionError`.

    Whatever its type, it is for every mail: nobody can tell which of our topics would be transactional there.
    """
    entry = read_object(given, place)
    if "type" in entry and entry["type"] not in TYPES:
        raise DefinitionError(f"{place}.type", f"is {' or '.join(TYPES)}")
    if "type" not in entry and any(name in entry for name in TYPES) and not any(map(entry.get, TYPES)):
        raise DefinitionError(place, f"is neither {' nor '.join(TYPES)}: it forbids nothing")
    told = entry.get("updated") or entry.get("created")
    at = _read_time(told, f"{place}.updated", instant) if told else None
    reason = SOURCES.get(str(entry.get("source", "")).strip().lower(), MANUAL)
    address = entry["recipient"] if "recipient" in entry else entry.get("email")
    return Entry(read_new_address(address, f"{place}.recipient"), ALL, reason, SPARKPOST, at)


def read_list(given: Mapping[str, Any], instant: datetime, by: str) -> list[Entry]:
    """`{"entries": […]}` of our own, or `{"recipients": […]}` of SparkPost's. Raises `DefinitionError`."""
    name = "recipients" if "recipients" in given else "entries"
    read_object(dict(given), "the list", required=(name,))
    entries = given[name]
    if type(entries) is not list or not 1 <= len(entries) <= MOST:
        raise DefinitionError(name, f"is a list of 1 to {MOST:,} entries")
    if name == "entries":
        return [read_own(one, f"entries[{index}]", instant, by) for index, one in enumerate(entries)]
    return [read_sparkpost(one, f"recipients[{index}]", instant) for index, one in enumerate(entries)]


def add_list(connection: Connection, entries: Sequence[Entry], instant: datetime) -> int:
    """Forbids mails to all of them that are not forbidden yet; how many these are.

    Whoever was taken off the list after an entry's time stays off, and of an entry without one at any time.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute(REMOVED, ([one.address for one in entries if one.at is None],))
        removed = set(cursor.fetchall())
        found = [_show(one, instant) for one in entries if one.at or (one.address, one.topic) not in removed]
        if not found:
            return 0
        cursor.execute(SUPPRESS, (encode_json(found).decode(),))
        cursor.execute(COUNT)
        return int(cursor.fetchall()[0][0])


def _show(one: Entry, instant: datetime) -> Json:
    given = {"address": one.address, "topic": one.topic, "reason": one.reason, "source": one.source}
    return {**given, "event_at": format_instant(one.at or instant)}


def _read_time(value: object, place: str, instant: datetime) -> datetime:
    """A time, of UTC where it names no zone; not later than now, so that whatever comes then counts."""
    try:
        at = datetime.fromisoformat(value) if type(value) is str else None
        at = at and (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        at = None
    if at is None or at.year < 1970:
        raise DefinitionError(place, "is a time, as 2026-11-21T09:00:00Z")
    return min(at, instant)
