import json
from datetime import UTC, datetime, timedelta

import pytest

from common.events import Event
from local.samples import NOW, Payload, list_payloads
from local.signing import SIGNERS, sign_anew
from local.tour import LIFE, RUN, Stop, choose, draw_tour, holds, plan_stop, plan_tour
from providers import UnverifiedError, list_providers

LATER = datetime(2031, 5, 1, tzinfo=UTC)
OLD = {"sparkpost"}  # samples of 2016; the demonstration tells of it with times of its own


@pytest.fixture(scope="module", params=[NOW, LATER], ids=["now", "in years"])
def tour(request: pytest.FixtureRequest) -> list[Stop]:
    """The tour at one time and at another."""
    return plan_tour(request.param)


def test_every_provider_is_on_the_tour(tour: list[Stop]) -> None:
    """Whenever it is, and without anybody naming a new one: its samples suffice."""
    assert {stop.provider for stop in tour} == set(list_providers()) - OLD
    assert all(stop.events for stop in tour)


def test_no_event_is_told_twice(tour: list[Stop]) -> None:
    """What is posted is what must come back: all events differ."""
    for stop in tour:
        assert len({(event.event_id, event.occurred_at) for event in stop.events}) == len(stop.events)


def test_each_type_is_told(tour: list[Stop]) -> None:
    """A type of event that a provider has samples of is on the tour."""
    for stop in tour:
        payloads = list_payloads(stop.provider)
        parsed = [event for payload in payloads for event in payload.provider.parse(payload.body, payload.delivery)]
        types = {event.kind.event_type for event in parsed if isinstance(event, Event)}
        assert {event.kind.event_type for event in stop.events} & set(LIFE) == types & set(LIFE)


@pytest.mark.parametrize("now", [NOW, LATER])
@pytest.mark.parametrize("provider", sorted(SIGNERS))
def test_what_is_signed_anew_is_proven(provider: str, now: datetime) -> None:
    """A provider that signs the time is let in by its proof, now and as long as the demonstration runs."""
    stop = plan_stop(provider, list_payloads(provider), now)
    assert stop.secrets
    for payload in stop.payloads:
        for instant in (now, now + RUN):
            payload.provider.verify(payload.request, stop.secrets, instant)
        with pytest.raises(UnverifiedError):
            payload.provider.verify(payload.request, [*stop.secrets[:-1], "wrong"][-1:], now)


def test_old_proofs_are_not_used() -> None:
    """What only the provider could sign anew is let in without proof."""
    payloads = [payload for payload in list_payloads("resend") if not payload.request.path_secret]
    assert all(holds(payload, payload.secrets, payload.now) for payload in payloads)
    assert not any(holds(payload, payload.secrets, payload.now + timedelta(days=400)) for payload in payloads)


def test_a_sample_that_nobody_can_sign_stays() -> None:
    """Its request and its secrets are as they were."""
    payload = list_payloads("amazon_ses")[0]
    assert sign_anew(payload, payload.secrets, LATER) == (payload, payload.secrets)


def test_table_shows_each_providers_words() -> None:
    """A row for each provider, its own word under each of our types, and what all events have."""
    events = [
        {"provider": "b", "event_type": "delivered", "provider_type": "email.sent", "rcpt_to": "x", "type": "delivery"},
        {"provider": "b", "event_type": "opened", "provider_type": "email.opened_by_a_person", "type": "open"},
        {"provider": "a", "event_type": "delivered", "provider_type": "Delivery", "type": "delivery"},
    ]
    first, *rows, _, common = draw_tour(events).splitlines()
    assert first.split() == list(LIFE)
    assert [row.split() for row in rows] == [["a", "Delivery"], ["b", "sent", "opened_by_a…"]]
    assert rows[1].index("opened") == first.index("opened")
    assert common == "each of them with event_type, provider, provider_type, type"


def test_a_list_with_a_known_event_is_left_out() -> None:
    """A sample that tells a new type, and an event that another has told, would come back as a duplicate."""
    delivered, opened = (find_sample(f"sendgrid/{name}") for name in ("delivered", "open"))
    both = json.dumps([*json.loads(delivered.body), *json.loads(opened.body)]).encode()
    mixed = opened._replace(request=opened.request._replace(body=both))
    assert [payload for payload, _ in choose([delivered, mixed], NOW)] == [delivered]
    assert [payload for payload, _ in choose([delivered, opened], NOW)] == [delivered, opened]


def find_sample(name: str) -> Payload:
    """The sample of this name."""
    return next(payload for payload in list_payloads() if payload.name == name)
