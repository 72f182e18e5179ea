"""An address's standing: a pure function of the latest event of each kind and of how many bounces there are."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from common.events import BOUNCED, CLICKED, COMPLAINED, DELIVERED, HARD, SUBSCRIBED, UNSUBSCRIBED, Kind
from query_events.states import Fact, find_latest, get_position, is_opened, is_type


class Tally(NamedTuple):
    """The events of one kind."""

    latest: Fact
    number: int


class Standing(NamedTuple):
    """What an address did, and whether it may be mailed."""

    last_delivered: Fact | None
    last_opened: Fact | None  # by a person
    last_clicked: Fact | None
    bounces: int
    hard_bounces: int
    last_bounce: Fact | None
    last_hard_bounce: Fact | None
    complaint: Fact | None  # the last one
    unsubscribed: Fact | None  # the last one, unless she subscribed afterwards
    suppression: Fact | None  # why the address must not be mailed: the latest cause


def tally(facts: Iterable[Fact]) -> list[Tally]:
    """Facts counted by their kinds."""
    latest: dict[Kind, Fact] = {}
    counts: dict[Kind, int] = {}
    for fact in facts:
        known = latest.get(fact.kind)
        latest[fact.kind] = fact if known is None or get_position(fact) > get_position(known) else known
        counts[fact.kind] = counts.get(fact.kind, 0) + 1
    return [Tally(fact, counts[kind]) for kind, fact in latest.items()]


# Of the events of such kinds only the latest one matters; of bounces also how many they are.
LATEST = (
    is_type(DELIVERED),
    is_opened,
    is_type(CLICKED),
    is_type(SUBSCRIBED),
    is_type(COMPLAINED),
    is_type(UNSUBSCRIBED),
)


def list_missing(kinds: Mapping[int, Kind], newest: Collection[Kind]) -> list[int]:
    """The keys of the kinds on whose events a standing depends that the kinds of the newest events don't settle."""
    missing = [which for which in LATEST if not any(map(which, newest))]
    return [key for key, kind in kinds.items() if any(which(kind) for which in (is_type(BOUNCED), *missing))]


def is_hard(kind: Kind) -> bool:
    """A bounce for good."""
    return kind.event_type == BOUNCED and kind.bounce_kind == HARD


def find_standing(tallies: Iterable[Tally]) -> Standing:
    """The standing of an address from its events, counted by kind: all bounces, and the latest of what else matters.

    Suppressed: it bounced hard, complained or unsubscribed, and did not subscribe after that.
    """
    known = list(tallies)
    facts = [entry.latest for entry in known]
    subscribed = find_latest(facts, is_type(SUBSCRIBED))
    hard, complaint, gone = (
        find_latest(facts, which) for which in (is_hard, is_type(COMPLAINED), is_type(UNSUBSCRIBED))
    )
    causes = [
        cause
        for cause in (hard, complaint, gone)
        if cause and not (subscribed and subscribed.occurred_at > cause.occurred_at)
    ]
    return Standing(
        last_delivered=find_latest(facts, is_type(DELIVERED)),
        last_opened=find_latest(facts, is_opened),
        last_clicked=find_latest(facts, is_type(CLICKED)),
        bounces=sum(entry.number for entry in known if entry.latest.kind.event_type == BOUNCED),
        hard_bounces=sum(entry.number for entry in known if is_hard(entry.latest.kind)),
        last_bounce=find_latest(facts, is_type(BOUNCED)),
        last_hard_bounce=hard,
        complaint=complaint,
        unsubscribed=gone if gone in causes else None,
        suppression=max(causes, default=None, key=get_position),
    )
