from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_events.standings import find_standing, list_missing, tally
from query_events.states import Fact, get_position
from tests.unit.query_events.test_states import lives, make_fact

HARD = {"bounce_kind": "hard"}


def stand(*happened: tuple[Any, ...]) -> Any:
    """The standing after (type, minute[, attributes])."""
    return find_standing(tally(make_fact(entry[0], entry[1], **dict(*entry[2:])) for entry in happened))


def test_unknown_address_stands_well() -> None:
    """Of an address without events nothing is known, and it may be mailed."""
    standing = find_standing([])
    assert standing.bounces == 0
    assert standing.suppression is None
    assert standing.last_delivered is None


@pytest.mark.parametrize("cause", [("bounced", 5, HARD), ("complained", 5), ("unsubscribed", 5)])
def test_cause_suppresses_until_she_subscribes(cause: tuple[Any, ...]) -> None:
    """A hard bounce, a complaint and an unsubscribe each suppress, until she subscribes later."""
    name = cause[0]
    assert stand(cause).suppression.kind.event_type == name
    assert stand(("subscribed", 4), cause).suppression.kind.event_type == name
    assert stand(("subscribed", 5), cause).suppression.kind.event_type == name
    assert stand(cause, ("subscribed", 6)).suppression is None
    assert stand(cause, ("subscribed", 6), ("delivered", 7), (name, 8, *cause[2:])).suppression.kind.event_type == name


@pytest.mark.parametrize("bounce_kind", ["soft", "block", "admin", "undetermined", None])
def test_other_bounces_count_but_do_not_suppress(bounce_kind: str | None) -> None:
    """Only hard bounces suppress."""
    standing = stand(("bounced", 1, {"bounce_kind": bounce_kind}), ("bounced", 2, {"bounce_kind": bounce_kind}))
    assert (standing.bounces, standing.hard_bounces, standing.suppression) == (2, 0, None)
    assert standing.last_hard_bounce is None


def test_delivery_does_not_end_a_suppression() -> None:
    """A later delivery leaves the suppression: the provider's list still holds the address."""
    assert stand(("bounced", 1, HARD), ("delivered", 9)).suppression is not None


def test_latest_cause_is_named() -> None:
    """Of several causes the latest counts."""
    assert stand(("complained", 5), ("bounced", 7, HARD)).suppression.kind.event_type == "bounced"


def test_unsubscribed_is_over_once_she_subscribed() -> None:
    """`unsubscribed` is the last one, unless she came back."""
    assert stand(("unsubscribed", 5)).unsubscribed is not None
    assert stand(("unsubscribed", 5), ("subscribed", 6)).unsubscribed is None


@pytest.mark.parametrize("minutes", [(5, 9), (9, 5)])
def test_latest_event_of_a_kind_is_told(minutes: tuple[int, int]) -> None:
    """What happened last is told, whichever event came first."""
    standing = stand(*(("delivered", minute) for minute in minutes))
    assert standing.last_delivered.occurred_at.minute == 9


def test_machines_do_not_open() -> None:
    """The last open is a person's."""
    standing = stand(("opened", 1), ("opened", 9, {"machine_open": True}))
    assert standing.last_opened.occurred_at.minute == 1


@given(lives, st.randoms())
def test_order_of_arrival_does_not_matter(life: list[Fact], random: Any) -> None:
    """The same events give the same standing, in whatever order they came."""
    shuffled = list(life)
    random.shuffle(shuffled)
    assert find_standing(tally(shuffled)) == find_standing(tally(life))


@given(lives, st.integers(0, 6))
def test_newest_events_tell_most_of_a_standing(life: list[Fact], number: int) -> None:
    """With the newest events, only those of kinds that `list_missing` names are needed besides."""
    newest = sorted(life, key=get_position)[len(life) - number :] if number < len(life) else life
    kinds = dict(enumerate({fact.kind for fact in life}))
    missing = {kinds[key] for key in list_missing(kinds, {fact.kind for fact in newest})}
    told = [fact for fact in newest if fact.kind not in missing]
    assert find_standing(tally([*told, *(fact for fact in life if fact.kind in missing)])) == find_standing(tally(life))
