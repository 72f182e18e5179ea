import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.event_keys import make_event_key, read_event_id
from common.events import (
    BOUNCED,
    COMPLAINED,
    HARD,
    OPENED,
    SUBSCRIBED,
    Client,
    Event,
    Json,
    Kind,
    Mailing,
    Receiver,
    Sender,
)
from providers.sparkpost import parse
from query_events.sparkpost_format import (
    find_sending_domain,
    represent,
    represent_v1,
    to_float,
    to_instant,
    to_int,
)

AT = datetime(2026, 11, 21, 9, 12, 33, 120_000, tzinfo=UTC)
SENDGRID = Event(
    occurred_at=AT,
    event_id="4611686018427387905",
    kind=Kind(
        *("sendgrid", "blocked", BOUNCED),
        bounce_kind=HARD,
        reject_reason="invalid",
        smtp_code=550,
        enhanced_status="5.1.1",
    ),
    mailing=Mailing(
        campaign="spring",
        template="welcome",
        subject="Hello",
        ab_test="colours",
        ab_test_version="2",
        tags=("a", "b"),
        sender=Sender(address="Shop <news@Shop.example>", subaccount="7", ip_pool="bulk", sending_ip="192.0.2.1"),
    ),
    receiver=Receiver("example.com", "mx.example.com", "Gmail", "Global"),
    client=Client("Mozilla/5.0", '{"os_family":"Linux"}'),
    recipient="ada@example.com",
    message_id="m-1",
    transmission_id="t-1",
    metadata=b'{"plan":"pro"}',
    reason="550 no such user",
    url="https://shop.example/",
    ip_address="198.51.100.9",
    position=0,
    detail=b'{"sg_event_id":"x"}',
)


def parse_one(event_class: str = "message_event", **fields: Any) -> Event:
    """The event of one SparkPost item."""
    item = {"type": "delivery", "timestamp": "1795252353", "event_id": "42", "rcpt_to": "ada@example.com"}
    return parse_body([{"msys": {event_class: item | fields}}])


def parse_body(items: object) -> Event:
    """The only event of a body, with the id that the database gives back."""
    (event,) = parse(json.dumps(items).encode())
    assert isinstance(event, Event)
    return event._replace(event_id=read_event_id("sparkpost", make_event_key("sparkpost", event.event_id)))


def test_events_of_another_provider_have_sparkposts_fields() -> None:
    """Whatever a normalised event says stands under SparkPost's names, beside the provider's own words."""
    assert represent(SENDGRID) == {
        "type": "bounce",
        "timestamp": "2026-11-21T09:12:33.120Z",
        "event_id": "4611686018427387905",
        "rcpt_to": "ada@example.com",
        "raw_rcpt_to": "ada@example.com",
        "recipient_domain": "example.com",
        "routing_domain": "mx.example.com",
        "mailbox_provider": "Gmail",
        "mailbox_provider_region": "Global",
        "message_id": "m-1",
        "transmission_id": "t-1",
        "campaign_id": "spring",
        "template_id": "welcome",
        "subject": "Hello",
        "ab_test_id": "colours",
        "ab_test_version": "2",
        "friendly_from": "Shop <news@Shop.example>",
        "sending_domain": "shop.example",
        "subaccount_id": 7,
        "ip_pool": "bulk",
        "sending_ip": "192.0.2.1",
        "rcpt_meta": {"plan": "pro"},
        "rcpt_tags": ["a", "b"],
        "reason": "550 no such user",
        "raw_reason": "550 no such user",
        "bounce_class": "10",
        "ip_address": "198.51.100.9",
        "user_agent": "Mozilla/5.0",
        "user_agent_parsed": {"os_family": "Linux"},
        "target_link_url": "https://shop.example/",
        "provider": "sendgrid",
        "provider_type": "blocked",
        "event_type": "bounced",
        "bounce_kind": "hard",
        "machine_open": False,
        "reject_reason": "invalid",
        "smtp_code": 550,
        "enhanced_status": "5.1.1",
    }


def test_events_of_another_provider_say_only_what_is_known() -> None:
    """Fields without a value are left out; tags and metadata, which SparkPost always sends, are empty."""
    kind = Kind("loops", "subscribed", SUBSCRIBED)
    bare = SENDGRID._replace(kind=kind, mailing=Mailing(), receiver=Receiver(), client=None, recipient=None)
    bare = bare._replace(message_id=None, transmission_id=None, metadata=None, reason=None, url=None, ip_address=None)
    assert represent(bare) == {
        "type": "subscribed",
        "timestamp": "2026-11-21T09:12:33.120Z",
        "event_id": "4611686018427387905",
        "rcpt_meta": {},
        "rcpt_tags": [],
        "provider": "loops",
        "provider_type": "subscribed",
        "event_type": "subscribed",
        "bounce_kind": None,
        "machine_open": False,
    }


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind("ses", "Bounce", BOUNCED, bounce_kind=HARD, out_of_band=True), ("out_of_band", "10")),
        (Kind("ses", "Bounce", BOUNCED, bounce_class=51, bounce_kind="block"), ("bounce", "51")),
        (Kind("ses", "Open", OPENED, first_open=True), ("initial_open", None)),
        (Kind("ses", "Complaint", COMPLAINED), ("spam_complaint", None)),
    ],
)
def test_kinds_of_another_provider_have_sparkposts_words(kind: Kind, expected: tuple[str, str | None]) -> None:
    """The type follows our classification; a bounce has a class even where its provider has none."""
    result = represent(SENDGRID._replace(kind=kind))
    assert (result["type"], result.get("bounce_class")) == expected


def test_sparkposts_events_keep_what_was_sent() -> None:
    """SparkPost's fields come as they came; ours stand beside them."""
    sent: Json = {
        "friendly_from": "news@shop.example",
        "bounce_class": "10",
        "num_retries": "0",
        "new_field": {"a": [1]},
    }
    result = represent(parse_one(type="bounce", **sent))
    assert result.items() >= sent.items()
    assert result["sending_domain"] == "shop.example"
    ours = ("provider", "provider_type", "event_type", "bounce_kind", "machine_open")
    assert [result[name] for name in ours] == ["sparkpost", "bounce", "bounced", "hard", False]


def test_sending_domain_is_the_providers_where_it_says_one() -> None:
    """A `sending_domain` that was sent is not overwritten."""
    event = parse_one(friendly_from="news@shop.example", sending_domain="mail.shop.example")
    assert represent(event)["sending_domain"] == "mail.shop.example"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("a@Shop.example", "shop.example"), ("Shop <a@shop.example> ", "shop.example"), ("nobody", None), ("a@", None)],
)
def test_sending_domain_is_read_from_the_sender(address: str, expected: str | None) -> None:
    """With or without a display name; None where there is no domain."""
    assert find_sending_domain(address) == expected


def test_events_dialect_has_its_types_of_value() -> None:
    """Integers, floats, whole arrays in the metadata, one form of time, no `tdate`."""
    event = parse_one(
        customer_id="1",
        subaccount_id="101",
        geo_ip={"country": "US", "latitude": "39.17", "longitude": -76, "zip": "21044"},
        rcpt_meta={"list": ["a", {"b": [1]}]},
        injection_time="2026-11-21T10:12:33+01:00",
        tdate="2026-11-21T09:12:33.000Z",
    )
    expected: Json = {
        "customer_id": 1,
        "subaccount_id": 101,
        "geo_ip": {"country": "US", "latitude": 39.17, "longitude": -76.0, "zip": 21044.0},
        "rcpt_meta": {"list": ["a", {"b": [1]}]},
        "timestamp": "2026-11-21T09:12:33.000Z",
        "injection_time": "2026-11-21T09:12:33.000Z",
    }
    result = represent(event)
    assert {name: result[name] for name in expected} == expected
    assert "tdate" not in result


def test_v1_dialect_has_its_types_of_value() -> None:
    """Text for ids, places as they came, two forms of the time."""
    geo = {"country": "US", "latitude": "39.17", "longitude": -76, "zip": 21044}
    result = represent_v1(parse_one(customer_id=1, subaccount_id="101", geo_ip=geo))
    assert (result["customer_id"], result["subaccount_id"], result["geo_ip"]) == ("1", "101", geo)
    assert result["timestamp"] == "2026-11-21T09:12:33.000+00:00"
    assert result["tdate"] == "2026-11-21T09:12:33.000Z"


def test_v1_metadata_are_text() -> None:
    """Arrays become objects with numbers for keys, at any depth; other values their text."""
    meta = {"text": "a", "number": 1, "yes": True, "none": None, "list": ["x", {"y": [2]}], "object": {"z": 3}}
    assert represent_v1(parse_one(rcpt_meta=meta))["rcpt_meta"] == {
        "text": "a",
        "number": "1",
        "yes": "true",
        "none": "",
        "list": {"0": "x", "1": {"y": {"0": 2}}},
        "object": {"z": 3},
    }


def test_v1_metadata_of_bounces_are_not_nested() -> None:
    """A bounce's metadata have text only, because clients give them that type: what is nested is its JSON."""
    event = parse_one(type="bounce", bounce_class="10", rcpt_meta={"list": ["x", 2], "object": {"z": 3}})
    assert represent_v1(event)["rcpt_meta"] == {"list": '{"0":"x","1":2}', "object": '{"z":3}'}


@pytest.mark.parametrize(("meta", "expected"), [([], {}), (["a"], {"0": "a"}), ("x", {}), (None, {}), ({}, {})])
def test_v1_metadata_are_an_object(meta: object, expected: object) -> None:
    """Whatever was sent as metadata."""
    assert represent_v1(parse_one(rcpt_meta=meta))["rcpt_meta"] == expected


def test_event_ids_are_text() -> None:
    """Ids are beyond what JavaScript's numbers hold; an event without one has the number that stands for it."""
    assert represent(parse_one(event_id=92356927693813857))["event_id"] == "92356927693813857"
    assert represent(parse_one(event_id=10**25))["event_id"] == "1" + "0" * 25
    assert represent(parse_one(event_id=None))["event_id"].isdigit()


def test_event_that_was_kept_whole_is_shown() -> None:
    """An item of two classes is odd but no error: its first class is shown."""
    first = {"type": "delivery", "timestamp": "1795252353", "event_id": "42", "rcpt_to": "ada@example.com"}
    event = parse_body([{"msys": {"message_event": first, "track_event": {"type": "open"}}}])
    assert represent(event)["rcpt_to"] == "ada@example.com"
    assert represent_v1(event)["type"] == "delivery"


def test_representing_leaves_what_is_shared_alone() -> None:
    """What a page's events share is read once; showing one event does not change the next."""
    for show in (represent, represent_v1):
        first = show(SENDGRID)
        first["subject"] = first["rcpt_tags"] = first["provider"] = None
        assert show(SENDGRID)["subject"] == "Hello"
        assert show(SENDGRID)["rcpt_tags"] == ["a", "b"]
        assert show(SENDGRID)["provider"] == "sendgrid"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("101", 101), (101, 101), ("-1", -1), ("", ""), ("a1", "a1"), (None, None), ("9" * 30, "9" * 30)],
)
def test_ids_become_integers(value: object, expected: object) -> None:
    """What says a whole number becomes one; anything else stays."""
    assert to_int(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[("39.17", 39.17), (-76, -76.0), ("21044", 21044.0), ("SW1A", "SW1A"), (None, None), (True, True)],
        *[("nan", "nan"), ("1e999", "1e999"), (10**400, 10**400), ("", "")],
    ],
)
def test_coordinates_become_floats(value: object, expected: object) -> None:
    """What says a number becomes a float; a British postcode stays, as does what JSON can't say."""
    assert to_float(value) == expected
    assert type(to_float(value)) is type(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-21T10:12:33.5+01:00", "2026-11-21T09:12:33.500Z"),
        *[("2026-11-21T09:12:33", "2026-11-21T09:12:33"), ("0001-01-01T00:00+01:00", "0001-01-01T00:00+01:00")],
        *[("x", "x"), (None, None), ([], []), (10**30, 10**30)],
    ],
)
def test_times_have_one_form(value: object, expected: object) -> None:
    """ISO 8601 with a zone becomes the form of `timestamp`; what is not stays."""
    assert to_instant(value) == expected
