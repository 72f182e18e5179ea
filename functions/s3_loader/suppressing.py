"""Whom a load's events forbid to mail: hard bounces, complaints and unsubscribes of all providers.

`suppress` (sql/migrations/0014_create_notifications.sql) keeps them unless somebody took the address off the list later
than the event, and tells the mailer through the outbox.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from common.clock import format_instant
from common.event_keys import make_event_key
from common.events import BOUNCED, COMPLAINED, HARD, UNSUBSCRIBED, Event, Json
from common.json_text import encode_json
from s3_loader.prepared import Statement

SUPPRESS: Final = "SELECT suppress(%s)"
ALL: Final = "*"  # the topic that stands for every mail
ENDING: Final = frozenset({BOUNCED, COMPLAINED, UNSUBSCRIBED})


class Suppressed:
    """Those of one load; none is from later than its batch, whatever the sender's clock says.

    Whoever is taken off the list behind that is off then, and stays off when the batch is loaded again.
    """

    def __init__(self, received_at: datetime) -> None:
        self._received_at = received_at
        self._found: dict[str, Event] = {}

    def note(self, event: Event) -> None:
        """Remembers an event of `ENDING`, if it ends anything; of an address the newest one."""
        address, kind = event.recipient, event.kind
        if address is None or (kind.event_type == BOUNCED and kind.bounce_kind != HARD):
            return
        known = self._found.get(address)
        if known is None or known.occurred_at < event.occurred_at:
            self._found[address] = event

    def build(self) -> Iterator[Statement]:
        """What keeps them; nothing where there are none."""
        if self._found:
            yield suppress([_show(event, self._received_at) for event in self._found.values()])


def suppress(entries: list[Json]) -> Statement:
    """What keeps `{"address", "topic", "reason", "source", "event_at", "event_key", "delivery"}`.

    The key of an event and the id of a delivery (by whose link somebody unsubscribed) may be missing.
    """
    return SUPPRESS, (encode_json(entries).decode(),)


def _show(event: Event, latest: datetime) -> Json:
    return {
        "address": event.recipient,
        "topic": ALL,
        "reason": event.kind.event_type,
        "source": event.kind.provider,
        "event_at": format_instant(min(event.occurred_at, latest)),
        "event_key": make_event_key(event.kind.provider, event.event_id),
    }
