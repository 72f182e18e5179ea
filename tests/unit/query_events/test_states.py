from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events import BOUNCE_KINDS, EVENT_TYPES, HARD, Kind
from query_events.states import STATES, Fact, describe_bounce, find_state

START = datetime(2026, 11, 21, 9, tzinfo=UTC)


def make_fact(event_type: str, minute: float = 0, **attributes: Any) -> Fact:
    """An event of some minute; its key is different for each minute and type."""
    kind = Kind("sparkpost", event_type, event_type, **attributes)
    return Fact(START + timedelta(minutes=minute), hash((event_type, minute)), kind, f"because of {event_type}")


# What happened, as (type, minute, attributes), and the state that it comes to.
LIVES: dict[str, tuple[list[tuple[str, int, dict[str, Any]]], str]] = {
    "sent": ([("injected", 0, {})], "injected"),
    "delivered": ([("injected", 0, {}), ("delivered", 1, {})], "delivered"),
    "still deferred": ([("injected", 0, {}), ("deferred", 5, {})], "deferred"),
    "delivered after a delay": ([("deferred", 5, {}), ("delivered", 9, {})], "delivered"),
    "a delay told late": ([("delivered", 5, {}), ("deferred", 9, {})], "delivered"),
    "soft bounce after a delay": ([("deferred", 5, {}), ("bounced", 9, {"bounce_kind": "soft"})], "bounced"),
    "bounced hard": ([("injected", 0, {}), ("bounced", 1, {"bounce_kind": "hard"})], "bounced"),
    "a soft bounce overcome": ([("bounced", 1, {"bounce_kind": "soft"}), ("delivered", 9, {})], "delivered"),
    "bounced after the delivery": ([("delivered", 1, {}), ("bounced", 9, {"bounce_kind": "hard"})], "bounced"),
    "bounced in the delivery's second": ([("delivered", 1, {}), ("bounced", 1, {"bounce_kind": "hard"})], "bounced"),
    "returned by mail": ([("delivered", 1, {}), ("bounced", 9, {"out_of_band": True})], "bounced"),
    "returned by mail, by a slow clock": ([("bounced", 1, {"out_of_band": True}), ("delivered", 9, {})], "bounced"),
    "read, then returned": ([("delivered", 1, {}), ("opened", 2, {}), ("bounced", 9, {"out_of_band": True})], "opened"),
    "scanned, then refused": ([("opened", 1, {}), ("clicked", 1, {}), ("bounced", 2, {})], "bounced"),
    "opened": ([("delivered", 1, {}), ("opened", 2, {})], "opened"),
    "opened before the delivery": ([("opened", 1, {}), ("delivered", 2, {})], "opened"),
    "opened, delivery unknown": ([("opened", 1, {})], "opened"),
    "opened by a machine": ([("delivered", 1, {}), ("opened", 2, {"machine_open": True})], "delivered"),
    "opened by a machine alone": ([("injected", 0, {}), ("opened", 2, {"machine_open": True})], "delivered"),
    "opened by a machine and a person": ([("opened", 1, {"machine_open": True}), ("opened", 2, {})], "opened"),
    "clicked": ([("clicked", 1, {}), ("opened", 2, {})], "clicked"),
    "complained": ([("clicked", 1, {}), ("complained", 2, {}), ("unsubscribed", 3, {})], "complained"),
    "unsubscribed": ([("clicked", 1, {}), ("unsubscribed", 3, {})], "unsubscribed"),
    "answered by a robot": ([("injected", 0, {}), ("autoresponded", 3, {})], "delivered"),
    "rejected": ([("injected", 0, {}), ("rejected", 1, {})], "rejected"),
    "failed": ([("failed", 1, {})], "failed"),
    "not of a mail": ([("unknown", 1, {})], "unknown"),
}


@pytest.mark.parametrize("life", LIVES)
def test_state_of_a_life(life: str) -> None:
    """Each life comes to its state."""
    happened, state = LIVES[life]
    assert find_state([make_fact(name, minute, **more) for name, minute, more in happened]).name == state


few = [make_fact(name).kind for name in ("delivered", "opened", "bounced", "complained", "subscribed")]
kinds = st.sampled_from(few) | st.builds(
    Kind,
    provider=st.sampled_from(["sparkpost", "other"]),
    provider_type=st.just("any"),
    event_type=st.sampled_from(sorted(EVENT_TYPES)),
    bounce_class=st.sampled_from([None, 10, 22, 99]),
    bounce_kind=st.sampled_from([None, *sorted(BOUNCE_KINDS)]),
    out_of_band=st.booleans(),
    machine_open=st.booleans(),
)
facts = st.builds(
    Fact,
    occurred_at=st.integers(0, 5).map(lambda minute: START + timedelta(minutes=minute)),
    event_key=st.integers(-(2**63), 2**63 - 1),
    kind=kinds,
    reason=st.none() | st.text(max_size=3),
)
lives = st.lists(facts, min_size=1, max_size=12, unique_by=lambda fact: fact[:2])


@given(lives, st.randoms())
def test_order_of_arrival_does_not_matter(life: list[Fact], random: Any) -> None:
    """The same events give the same state, in whatever order they came, and however often."""
    state = find_state(life)
    shuffled = [*life, *life[:3]]
    random.shuffle(shuffled)
    assert find_state(shuffled) == state
    assert state.name in STATES
    assert state.fact in life
    assert state.description


@given(lives)
def test_latest_of_each_kind_is_enough(life: list[Fact]) -> None:
    """Of several events of one kind only the latest matters: thousands of opens need not all be read."""
    latest = {fact.kind: fact for fact in sorted(life, key=lambda fact: fact[:2])}
    assert find_state(latest.values()) == find_state(life)


@pytest.mark.parametrize("minutes", [(5, 9), (9, 5)])
def test_latest_event_tells(minutes: tuple[int, int]) -> None:
    """Of several events that say the same the latest tells the state, whichever came first."""
    state = find_state([make_fact("deferred", minute) for minute in minutes])
    assert state.fact.occurred_at == START + timedelta(minutes=9)


@given(lives)
def test_machines_do_not_open(life: list[Fact]) -> None:
    """A message is opened only where a person opened it."""
    if find_state(life).name == "opened":
        assert any(fact.kind.event_type == "opened" and not fact.kind.machine_open for fact in life)


def test_bounce_in_words() -> None:
    """A hard bounce says so, and what the provider's class adds; one by mail says that the message was accepted."""
    kind = make_fact("bounced", bounce_kind=HARD).kind
    assert describe_bounce(kind) == "bounced hard: this address can't receive mail"
    assert describe_bounce(kind._replace(bounce_class=30)) == "bounced hard: there is no such recipient"
    assert describe_bounce(kind._replace(out_of_band=True)).startswith("accepted, then bounced hard")
    assert describe_bounce(kind._replace(bounce_kind=None)) == "bounced: the answer doesn't tell why"


def test_machine_open_is_told() -> None:
    """A delivered message that a machine opened says so."""
    state = find_state([make_fact("delivered", 1), make_fact("opened", 2, machine_open=True)])
    assert state.description == "delivered; opened by a machine, not by a person"
