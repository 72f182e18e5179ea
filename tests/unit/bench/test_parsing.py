import json
import re

import pytest

from bench.parsing import BATCH_SIZE, EVENTS, make_traffic, vary
from common.events import Event
from local.samples import list_payloads
from providers import list_providers


@pytest.mark.parametrize("name", list_providers())
def test_traffic_is_made_of_every_providers_payloads(name: str) -> None:
    """Each form that a provider sends gives bodies that are parsed whole, with several events' ids and addresses."""
    found = list(make_traffic(list_payloads(name)))
    assert found
    for traffic in found:
        events = [
            event
            for body, delivery in zip(traffic.bodies, traffic.deliveries, strict=True)
            for event in traffic.provider.parse(body, delivery)
        ]
        assert len(events) >= EVENTS * 9 // 10  # less the pings
        assert all(isinstance(event, Event) for event in events)
        recipients = {event.recipient for event in events if isinstance(event, Event)}
        assert len(recipients) > EVENTS // 2


def test_lists_are_as_long_as_providers_send_them() -> None:
    """A provider whose payloads have lists gets bodies with a hundred events each."""
    (traffic,) = make_traffic(list_payloads("sendgrid"))
    assert {len(json.loads(body)) for body in traffic.bodies} == {BATCH_SIZE}
    assert traffic.field is None


def test_json_in_a_form_is_found() -> None:
    """Mandrill's array in a form's field is made as long too."""
    (traffic,) = make_traffic(list_payloads("mandrill"))
    assert traffic.field == "mandrill_events"
    assert len(traffic.bodies) == EVENTS // BATCH_SIZE


def test_events_differ_and_are_of_one_size() -> None:
    """Address and id are another event's; words and times stay."""
    text = '{"email":"ada@example.com","id":"0123456789abcdef0123","time":"2026-11-21T09:29:00Z","type":"delivered"}'
    first, second = vary(text, 1), vary(text, 999)
    assert first == re.sub("cdef0123|0999", "cdef0001", text.replace("ada@", "ada0001@"))
    assert second == first.replace("0001", "0999")
