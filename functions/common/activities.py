"""What people do with an API or a product, and what is known of them: one shape for all sources.

Calls, actions, pages and screens are activities. What users and companies are like comes as profiles, who is who as
links (docs/behaviour.md).
"""

from datetime import datetime
from typing import Final, NamedTuple

from common.event_keys import hash_key
from common.events import Json

CALL: Final = "call"  # of an API
ACTION: Final = "action"  # anything else with a name
PAGE: Final = "page"
SCREEN: Final = "screen"

USER: Final = "user"
ANONYMOUS: Final = "anonymous"
ADDRESS: Final = "address"  # an email address, in lower case
COMPANY: Final = "company"

MERGE: Final = "merge"  # both are one person
FIRST: Final = "first"  # it is the user's with whom it was linked first
LAST: Final = "last"  # it is the user's with whom it was linked last


class Identity(NamedTuple):
    """A name that a person or a company goes by."""

    identity_type: str  # USER, ANONYMOUS, ADDRESS or COMPANY
    value: str


class Operation(NamedTuple):
    """What was done, as far as many activities share it."""

    source: str
    activity_type: str  # CALL, ACTION, PAGE or SCREEN
    name: str | None = None
    method: str | None = None
    route: str | None = None  # the path, with {id} for what looks like one
    status: int | None = None
    direction: str | None = None
    api_version: str | None = None


class Activity(NamedTuple):
    """Something that somebody did."""

    occurred_at: datetime  # aware, UTC
    key: int  # 64 bits: with the time, what makes it the same again
    id_rest: int | None  # the low half of a UUID that the key was made from
    operation: Operation
    identity: Identity | None  # the user, else the anonymous one
    company: str | None
    agent: str | None  # the user agent
    duration: int | None  # milliseconds
    weight: int | None  # of how many it is a sample; None for 1
    position: int  # its place in the batch
    detail: bytes  # JSON object of everything else that came
    properties: bytes | None = None  # of that, the JSON object that conditions may ask for


class Profile(NamedTuple):
    """What was said of a user or a company; told apart by path, the newest write of each counts."""

    identity: Identity
    at: datetime
    traits: Json
    position: int


class Link(NamedTuple):
    """A fact about who is who."""

    origin: Identity
    user: Identity
    rule: str  # MERGE, FIRST or LAST
    at: datetime
    position: int


class Sample(NamedTuple):
    """A value of a series."""

    at: datetime  # aware, UTC
    bits: int | None  # of the value, a double; None where the series ends


class Series(NamedTuple):
    """Samples of one series."""

    source: str
    labels: tuple[tuple[str, str], ...]  # sorted; __name__ is the metric's name
    samples: list[Sample]
    position: int


def make_content_key(identity: Identity) -> int:
    """The key of an identity."""
    return hash_key(f"{identity.identity_type}\0{identity.value}".encode())
