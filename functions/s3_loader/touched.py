"""Whom a load says something new of, and since when: for the cohorts, which are evaluated for nobody else."""

from collections.abc import Hashable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from common.events import Event
from common.json_text import encode_json
from s3_loader.prepared import Statement
from s3_loader.rows import find_user
from s3_loader.suppressing import ENDING, Suppressed

CHANGE = "INSERT INTO changes (touched) VALUES (%s)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)


class Touched:
    """What one load touches; of each the earliest time. `received_at` is when a batch of mails' events was."""

    def __init__(self, received_at: datetime = NEVER) -> None:
        self._addresses: dict[str, datetime] = {}
        self._users: dict[str, datetime] = {}
        self._identities: dict[int, datetime] = {}
        self._active: dict[int, int] = {}
        self._linked: set[int] = set()
        self._suppressed = Suppressed(received_at)
        self._rendered: list[dict[str, dict[str, int]]] = []

    def watch(self, events: Iterable[Event], user_field: str, user_mark: bytes) -> Iterator[Event]:
        """The same events; those whom they happened to are remembered as they go by."""
        for event in events:
            user = None
            if event.metadata is not None and user_mark in event.metadata:
                user = find_user(event.metadata, user_field)
            if user is not None:
                _note(self._users, user, event.occurred_at)
            elif event.recipient is not None:
                _note(self._addresses, event.recipient, event.occurred_at)
            if event.kind.event_type in ENDING:
                self._suppressed.note(event)
            yield event

    def add(self, identity_id: int, at: datetime) -> None:
        """Something was done or said by somebody, or of somebody."""
        _note(self._identities, identity_id, at)

    def add_rendered(self, addresses: dict[str, int], users: dict[str, int]) -> None:
        """Whom events happened to that were rendered elsewhere, with microseconds since 1970."""
        self._rendered.append({"addresses": addresses, "users": users})

    def add_active(self, identities: Iterable[tuple[int, int]]) -> None:
        """Whom calls say something of that were rendered elsewhere, with milliseconds since 1970."""
        for identity_id, at in identities:
            known = self._active.get(identity_id)
            if known is None or at < known:
                self._active[identity_id] = at

    def add_linked(self, identity_ids: Iterable[int]) -> None:
        """These became, or were until now, one person with others."""
        self._linked.update(identity_ids)

    def build(self) -> Iterator[Statement]:
        """What says so; nothing where nobody is touched."""
        yield from self._suppressed.build()
        touched: dict[str, Any] = {
            "addresses": _show(self._addresses),
            "users": _show(self._users),
            "identities": _show({str(key): at for key, at in self._identities.items()}),
            "linked": sorted(self._linked),
        }
        active = {"identities": {str(key): at * 1000 for key, at in self._active.items()}}
        for rendered in (*self._rendered, active):
            for name, times in rendered.items():
                known = touched[name]
                touched[name] = times | {key: min(at, times.get(key, at)) for key, at in known.items()}
        if any(touched.values()):
            yield CHANGE, (encode_json({key: value for key, value in touched.items() if value}).decode(),)


def _note(times: dict[Any, datetime], key: Hashable, at: datetime) -> None:
    known = times.get(key)
    if known is None or at < known:
        times[key] = at


def _show(times: dict[str, datetime]) -> dict[str, int]:
    return {key: _count_microseconds(at) for key, at in times.items()}


def _count_microseconds(at: datetime) -> int:
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
