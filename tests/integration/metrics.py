"""Metrics counted by hand: event by event over the raw rows, in the words of docs/api.md and nothing of the SQL."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from psycopg2.extensions import connection as Connection

MONTH, HOUR = timedelta(days=30), timedelta(hours=1)
SELECT = """
SELECT occurred_at, event_key, message_id, recipient, k.provider, event_type, bounce_kind, out_of_band, machine_open,
       campaign, template, domain
FROM events JOIN kinds k USING (kind_key) JOIN mailings USING (mailing_key) JOIN receivers USING (receiver_key)
ORDER BY occurred_at, event_key
"""


class Row(NamedTuple):
    """A stored event."""

    occurred_at: datetime
    event_key: int
    message_id: str | None
    recipient: str | None
    provider: str
    event_type: str
    bounce_kind: str | None
    out_of_band: bool
    machine_open: bool
    campaign: str | None
    template: str | None
    domain: str | None

    @property
    def is_handed(self) -> bool:
        """Whether the receiving server answered."""
        return self.event_type == "delivered" or (self.event_type == "bounced" and not self.out_of_band)


def read_rows(connection: Connection) -> list[Row]:
    """All stored events, oldest first, in the connection's transaction."""
    with connection.cursor() as cursor:
        cursor.execute(SELECT)
        return [Row(*row) for row in cursor.fetchall()]


def count_event(row: Row, story: Sequence[Row]) -> tuple[list[str], int | None]:
    """The counts that an event adds to, and the seconds that it took to deliver; `story`: its message's events."""
    if row.message_id is None:
        story = [row]
    before = [
        other
        for other in story
        if (other.occurred_at, other.event_key) < (row.occurred_at, row.event_key)
        and other.occurred_at >= row.occurred_at - MONTH
    ]
    injected = [
        other.occurred_at
        for other in story
        if other.event_type == "injected" and row.occurred_at - MONTH <= other.occurred_at <= row.occurred_at + HOUR
    ]
    alike = [other for other in before if other.event_type == row.event_type]
    names: list[str] = []
    seconds = None
    if row.event_type == "injected":
        names = ["accepted"]
    elif row.event_type == "opened":
        names = ["opened"] + ["opened_by_machine"] * row.machine_open + ["unique_opened"] * (not alike)
        if not row.machine_open and all(other.machine_open for other in alike):
            names.append("unique_opened_by_person")
    elif row.event_type == "clicked":
        names = ["clicked"] + ["unique_clicked"] * (not alike)
    elif row.event_type == "bounced":
        names = ["bounced", f"bounced_{row.bounce_kind or 'undetermined'}"]
        names += ["bounced_out_of_band"] * row.out_of_band
    elif row.event_type in ("delivered", "deferred", "rejected", "failed", "complained", "unsubscribed"):
        names = [row.event_type]
    if row.is_handed and row.message_id and not injected and not any(other.is_handed for other in before):
        names.append("accepted")
    if row.event_type == "delivered" and injected and row.message_id:
        seconds = max(0, (row.occurred_at - min(injected)) // timedelta(seconds=1))
    return names, seconds


def find_group(row: Row, groups: Sequence[str], zone: ZoneInfo) -> tuple[Any, ...]:
    """The values that an event is grouped by."""
    local = row.occurred_at.astimezone(zone)
    hour = row.occurred_at - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    values = {
        "campaign": row.campaign,
        "template": row.template,
        "provider": row.provider,
        "recipient_domain": row.domain,
        "day": local.date().isoformat(),
        "hour": hour.astimezone(zone).isoformat(),
    }
    return tuple(values[name] for name in groups)


def count_by_hand(
    rows: Sequence[Row],
    begin: datetime,
    end: datetime,
    groups: Sequence[str],
    zone: str,
    fits: Callable[[Row], bool] = lambda _: True,
) -> dict[tuple[Any, ...], dict[str, int]]:
    """The counts that are not 0 of the events that fit, and the percentiles, by group."""
    stories: dict[Any, list[Row]] = defaultdict(list)
    for row in rows:
        stories[row.message_id, row.recipient].append(row)
    counts: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    delays: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in rows:
        if not begin <= row.occurred_at < end or not fits(row):
            continue
        names, seconds = count_event(row, stories[row.message_id, row.recipient])
        group = find_group(row, groups, ZoneInfo(zone))
        if names:
            counts[group].update(names)
        if seconds is not None:
            delays[group].append(seconds)
    found = {group: dict(counted) for group, counted in counts.items()}
    for group, all_seconds in delays.items():
        for percent in (50, 95):
            place = -(-len(all_seconds) * percent // 100)
            found[group][f"delivery_seconds_p{percent}"] = sorted(all_seconds)[place - 1]
    return found
