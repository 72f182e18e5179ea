"""What the oracle is told: plain facts, each with its own time, in the order of their arrival."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from common.activities import Identity
from common.events import Json

NOTHING: Final[Mapping[str, object]] = {}


class Event(NamedTuple):
    """Something that somebody did, or that happened to a mail."""

    kind: str  # mail, call, action, page or screen
    at: datetime
    key: int  # with `at`, what makes it the same again
    who: Identity | None  # of a mail the user that the sender named, else the address
    company: str | None = None
    weight: int = 1
    fields: Mapping[str, object] = NOTHING  # by the names that definitions use
    properties: Mapping[str, object] = NOTHING  # of a mail its metadata


class Write(NamedTuple):
    """A value that a trait was given."""

    identity: Identity
    at: datetime
    path: tuple[str, ...]
    value: object


class Link(NamedTuple):
    """That two identities are one person: both users (`merge`), or one of them the user's that came first or last."""

    origin: Identity
    user: Identity
    rule: str
    at: datetime


Fact = Event | Write | Link


def list_writes(identity: Identity, at: datetime, traits: Json, path: tuple[str, ...] = ()) -> list[Fact]:
    """The writes of nested traits: one of each value that is no object, or an empty one."""
    writes: list[Fact] = []
    for name, value in traits.items():
        if isinstance(value, dict) and value:
            writes += list_writes(identity, at, value, (*path, name))
        else:
            writes.append(Write(identity, at, (*path, name), value))
    return writes
