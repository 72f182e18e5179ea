"""What became of a message to one recipient: a pure function of its events, whatever order they arrived in.

Only times decide, and only the latest event of each kind matters. The first rule that holds gives the state:

1. complained, then unsubscribed: she got it, and said so;
2. bounced, if the receiving server refused it and never accepted it: opens and clicks of such a message are scanners';
3. clicked, then opened: by a person; a person's act outweighs a bounce that came after the delivery;
4. bounced, if a bounce followed the delivery: by mail (out of band, whatever its time) or later than the delivery;
   a bounce before the last delivery was overcome by another attempt;
5. delivered: accepted, answered by a robot, or opened by a machine, which takes a delivered mail;
6. rejected, then failed: it was never sent;
7. deferred: the provider still tries;
8. injected: nothing has been heard since the provider took it;
9. unknown: events that say nothing of this.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from operator import itemgetter
from typing import NamedTuple

from common.events import (
    ADMIN,
    AUTORESPONDED,
    BLOCK,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    HARD,
    INJECTED,
    OPENED,
    REJECTED,
    SOFT,
    SUBSCRIBED,
    UNDETERMINED,
    UNKNOWN,
    UNSUBSCRIBED,
    Kind,
)
from providers.sparkpost import BOUNCE_CLASSES, UNCLASSIFIED


class Fact(NamedTuple):
    """An event as far as states and standings depend on it."""

    occurred_at: datetime
    event_key: int
    kind: Kind
    reason: str | None = None  # the receiving server's words
    message_id: str | None = None


class State(NamedTuple):
    """What became of a message; `fact` is the event that tells it."""

    name: str  # of EVENT_TYPES, without subscribed and autoresponded
    fact: Fact
    description: str  # for a person


get_position = itemgetter(0, 1)  # of a fact: newer ones are greater

STATES = (
    *(COMPLAINED, UNSUBSCRIBED, CLICKED, OPENED, BOUNCED, DELIVERED),
    *(REJECTED, FAILED, DEFERRED, INJECTED, UNKNOWN),
)

BOUNCES = {
    HARD: "bounced hard: this address can't receive mail",
    SOFT: "bounced softly: it may work another time",
    BLOCK: "blocked: refused for its content or the sender's reputation",
    ADMIN: "refused by configuration",
    UNDETERMINED: "bounced: the answer doesn't tell why",
}
DESCRIPTIONS = {
    COMPLAINED: "reported as spam",
    UNSUBSCRIBED: "delivered, then unsubscribed",
    CLICKED: "delivered, opened and clicked",
    OPENED: "delivered and opened",
    DELIVERED: "delivered",
    REJECTED: "rejected by the provider before sending",
    FAILED: "not sent: the provider could not make the message",
    DEFERRED: "still deferred: the receiving server put it off, the provider tries again",
    INJECTED: "accepted by the provider, nothing heard since",
    UNKNOWN: "its events don't tell",
}


def describe_bounce(kind: Kind) -> str:
    """A bounce in words; the class says more than the kind, where there is one."""
    words = BOUNCES[kind.bounce_kind or UNDETERMINED]
    more = BOUNCE_CLASSES.get(kind.bounce_class or 0, UNCLASSIFIED).words
    if more:
        words = f"{words.partition(':')[0]}: {more}"
    return f"accepted, then {words}" if kind.out_of_band else words


def find_latest(facts: Iterable[Fact], wanted: Callable[[Kind], bool]) -> Fact | None:
    """The latest of the facts of some kinds."""
    return max((fact for fact in facts if wanted(fact.kind)), default=None, key=get_position)


def is_type(event_type: str) -> Callable[[Kind], bool]:
    """Whether a kind is of one of our types."""
    return lambda kind: kind.event_type == event_type


def is_opened(kind: Kind) -> bool:
    """Opened by a person, as far as the provider can tell."""
    return kind.event_type == OPENED and not kind.machine_open


def find_state(facts: Iterable[Fact]) -> State:
    """The state of a message to one recipient from its events, at least one; the latest of each kind are enough."""
    known = list(facts)
    latest = {name: find_latest(known, is_type(name)) for name in STATES}
    opened = find_latest(known, is_opened)
    delivered = latest[DELIVERED]
    refused = find_latest(known, lambda kind: kind.event_type == BOUNCED and not kind.out_of_band)
    returned = find_latest(known, lambda kind: kind.event_type == BOUNCED and kind.out_of_band)
    if refused and delivered:
        if refused.occurred_at >= delivered.occurred_at:
            returned = max(refused, returned or refused, key=get_position)
        refused = None
    implied = find_latest(known, lambda kind: kind.event_type in (AUTORESPONDED, SUBSCRIBED))
    rules = (
        (COMPLAINED, latest[COMPLAINED]),
        (UNSUBSCRIBED, latest[UNSUBSCRIBED]),
        (BOUNCED, refused),
        (CLICKED, latest[CLICKED]),
        (OPENED, opened),
        (BOUNCED, returned),
        (DELIVERED, delivered or implied or latest[OPENED]),
        *((name, latest[name]) for name in (REJECTED, FAILED, DEFERRED, INJECTED)),
        (UNKNOWN, max(known, key=get_position)),
    )
    name, fact = next((name, fact) for name, fact in rules if fact is not None)
    return State(name, fact, _describe(name, fact, latest[OPENED] is not None))


def _describe(name: str, fact: Fact, opened: bool) -> str:  # noqa: FBT001 - private
    if name == BOUNCED:
        return describe_bounce(fact.kind)
    if name == DELIVERED and opened:
        return "delivered; opened by a machine, not by a person"
    return DESCRIPTIONS[name]
