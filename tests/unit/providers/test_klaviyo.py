"""Klaviyo: what its payloads alone don't show."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.event_keys import make_event_key
from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, WebhookRequest
from providers.klaviyo import parse, restore, verify
from tests.unit.providers.payloads import flatten

NOW = datetime(2026, 11, 21, 9, 29, 5, tzinfo=UTC)
DELIVERY = Delivery(NOW)
BODY = b'{"data":[{"external_id":"a","topic":"event:klaviyo.received_email","payload":{}}],"meta":{}}'
# Of the body and the time, by `openssl dgst -sha256 -hmac`.
KEY, OLDER = "the current key", "an older key"
SIGNATURES = {
    "1795253344": "135bf930289a7e45c6d11298d594cafb4c504e61523a5c51c806310d8a519af1",
    "2026-11-21T09:29:04+00:00": "0c983ac8cde405e1552641256e1e3592185c2ce14dcdecd3c92065ec623edcb9",
    "2026-11-21T10:29:04.5+01:00": "0189bde943eeea6ea55ef69d986cc6dd2dd20b1798a234542fc56832851ea6f6",
    "2026-11-21T09:29:04Z": "4e84aa26672db14d1fe65854fb03f91c064152b254a78a148f8d08f741771cea",
    "2026-11-21 09:29:04": "7a5d0ce6d7eb5ae842582f3f71aed68145a977ccafdc6f87c534f98075fda8f0",
}
TIME = "1795253344"
SIGNED_BY_OLDER = "2fcb7d67510d47b10fcd125bf9b4e2d7e8c81ba91d2e145cf6427eb57f424913"
HEADERS = {"klaviyo-signature": SIGNATURES[TIME], "klaviyo-timestamp": TIME}


def check(
    headers: dict[str, str] = HEADERS,
    body: bytes = BODY,
    secrets: tuple[str, ...] = (KEY,),
    late: timedelta = timedelta(0),
) -> None:
    """Checks a webhook."""
    verify(WebhookRequest("klaviyo", "POST", headers, body), secrets, NOW + late)


def make_entry(word: str = "received_email", /, **properties: Any) -> dict[str, Any]:
    """An entry of `data`."""
    return {
        "external_id": "01KAHZ9M3V5XW2QY7RB8D00001",
        "topic": f"event:klaviyo.{word}",
        "payload": {"data": {"attributes": {"timestamp": 1795253340, "event_properties": properties}}},
    }


def parse_entries(*entries: object, **meta: Any) -> list[Event | Unparseable]:
    """What the entries of one body become."""
    return list(parse(json.dumps({"data": entries, "meta": meta}).encode(), DELIVERY))


def read(entry: dict[str, Any]) -> dict[str, Any]:
    """The values of an entry's event."""
    (event,) = parse_entries(entry, klaviyo_webhook_id="w")
    assert isinstance(event, Event), event
    assert restore(event) == entry
    return flatten(event)


def make_keys(found: list[Event | Unparseable]) -> set[tuple[datetime, int]]:
    """What tells events that came again."""
    assert all(isinstance(event, Event) for event in found), found
    return {
        (event.occurred_at, make_event_key("klaviyo", event.event_id)) for event in found if isinstance(event, Event)
    }


@pytest.mark.parametrize("time", SIGNATURES)
def test_golden_signature(time: str) -> None:
    """It covers the body and the time as it is written: in seconds, or ISO 8601 in any zone, UTC without one."""
    headers = {"klaviyo-timestamp": time, "klaviyo-signature": SIGNATURES[time]}
    check(headers)
    check(headers | {"klaviyo-signature": SIGNATURES[time].upper()})
    check(headers, secrets=(OLDER, KEY))
    for late in (timedelta(hours=23), -timedelta(hours=23)):
        check(headers, late=late)
    for late in (timedelta(hours=25), -timedelta(hours=25)):
        with pytest.raises(UnverifiedError, match="too long ago"):
            check(headers, late=late)


def test_secrets_are_rotated() -> None:
    """Any live one counts."""
    check(HEADERS | {"klaviyo-signature": SIGNED_BY_OLDER}, secrets=(KEY, OLDER))


@pytest.mark.parametrize(
    ("headers", "body", "secrets"),
    [
        (HEADERS | {"klaviyo-signature": "0" + SIGNATURES[TIME][1:]}, BODY, (KEY,)),
        (HEADERS | {"klaviyo-signature": SIGNED_BY_OLDER}, BODY, (KEY,)),
        (HEADERS | {"klaviyo-timestamp": "1795253345"}, BODY, (KEY,)),
        (HEADERS | {"klaviyo-timestamp": "2026-11-21T09:29:04Z"}, BODY, (KEY,)),
        (HEADERS, BODY + b"\n", (KEY,)),
        (HEADERS, BODY.replace(b'"a"', b'"c"'), (KEY,)),
        (HEADERS, BODY, (OLDER,)),
        (HEADERS, BODY, ()),
    ],
)
def test_any_change_is_refused(headers: dict[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
    """One bit of the signature, the body or the time, the same time in another form, another key, or none."""
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        check(headers, body, secrets)


@pytest.mark.parametrize("name", list(HEADERS))
@pytest.mark.parametrize(
    "value", [None, "", " ", "ä", "zz", "-1", "1e9", "9" * 30, "\ud800", "0001-01-01T00:00:00+14:00", "yesterday"]
)
def test_missing_and_malformed_headers(name: str, value: str | None) -> None:
    """Whatever stands in a header, or nothing: refused, and no other error."""
    headers = {header: text for header, text in (HEADERS | {name: value}).items() if text is not None}
    with pytest.raises(UnverifiedError):
        check(headers)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"Bounce Type": "Hard"}, ("hard", "bounced")),
        ({"Bounce Type": "HARD", "Bounce Reason": "550 5.1.1 No such user"}, ("hard", "invalid")),
        ({"Bounce Type": "Hard", "Bounce Reason": "452 4.2.2 Full"}, ("soft", "other")),
        ({"Bounce Type": "Soft", "Bounce Reason": "550 5.1.1 No such user"}, ("soft", "other")),
        ({"Bounce Type": "Block"}, ("block", "blocked")),
        ({"Bounce Type": "Odd", "Bounce Reason": "554 5.7.1 Blocked"}, ("block", "blocked")),
        ({"Bounce Reason": "550 5.1.1 No such user"}, ("hard", "invalid")),
        ({"Bounce Type": ["Hard"], "Bounce Reason": {}}, ("undetermined", "other")),
        ({}, ("undetermined", "other")),
    ],
)
def test_kinds_of_bounces(properties: dict[str, Any], expected: tuple[str, str]) -> None:
    """Klaviyo's word decides, and else the reply; what may pass is never hard."""
    values = read(make_entry("bounced_email", **properties))
    assert (values["bounce_kind"], values["reject_reason"]) == expected


def test_machine_opens() -> None:
    """Mail programs that open everything are told; a click or a delivery is no open."""
    for name in ("machine_open", "Apple Privacy Open"):
        for value in (True, "True"):
            assert read(make_entry("opened_email", **{name: value}))["machine_open"]
            assert "machine_open" not in read(make_entry("clicked_email", **{name: value}))
        assert "machine_open" not in read(make_entry("opened_email", **{name: False}))


@pytest.mark.parametrize(
    "topic", ["event:klaviyo.received_sms", "event:klaviyo.bounced_push", "event:custom.opened_email", "opened_email"]
)
def test_other_topics_are_kept_as_unknown(topic: str) -> None:
    """Other channels, and events of the sender's own that are called alike."""
    values = read(make_entry() | {"topic": topic})
    assert (values["event_type"], values["provider_type"]) == ("unknown", topic)


def test_address_is_the_mails_or_the_persons() -> None:
    """The event's own address comes first; without it that of the person among what is included."""
    entry = make_entry()
    entry["payload"]["included"] = [
        7,
        {"type": "metric", "attributes": {"email": "metric@example.com"}},
        {"type": "profile", "attributes": {"email": "Ada@example.com"}},
    ]
    assert read(entry)["recipient"] == "ada@example.com"
    entry["payload"]["data"]["attributes"]["event_properties"]["Recipient Email Address"] = "grace@example.com"
    assert read(entry)["recipient"] == "grace@example.com"
    assert "recipient" not in read(make_entry())


def test_what_is_around_the_events_is_kept() -> None:
    """Which webhook brought an event stays beside it."""
    (event,) = parse_entries(make_entry(), klaviyo_webhook_id="01HFGXKM2S", version="2026-10-15")
    assert isinstance(event, Event)
    assert b"01HFGXKM2S" in event.detail
    assert b"2026-10-15" in event.detail


@pytest.mark.parametrize("field", [None, "external_id"])
def test_retries_are_the_same_events(field: str | None) -> None:
    """In any grouping, order and attempt: by their ids, or by what they say. Another click is another event."""
    one, two = (
        make_entry("clicked_email", URL="https://example.com/1"),
        make_entry("clicked_email", URL="https://e.org"),
    )
    two["external_id"] = "01KAHZ9M3V5XW2QY7RB8D00002"
    entries = [{name: value for name, value in entry.items() if name != field} for entry in (one, two)]
    first = make_keys(parse_entries(*entries, timestamp="2026-11-21T09:29:06+00:00"))
    alone = [make_keys(parse_entries(dict(reversed(entry.items())), timestamp="later")) for entry in reversed(entries)]
    assert len(first) == 2
    assert alone[0] | alone[1] == first
    if field is None:
        assert make_keys(parse_entries(one | {"attempt": 2})) < first


def test_time_is_the_events() -> None:
    """As text with a zone, or in seconds."""
    entry = make_entry()
    assert read(entry)["occurred_at"] == "2026-11-21T09:29:00.000Z"
    entry["payload"]["data"]["attributes"]["datetime"] = "2026-11-21 10:29:00.250+01:00"
    assert read(entry)["occurred_at"] == "2026-11-21T09:29:00.250Z"


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, "not an object"),
        ({}, "no topic"),
        (make_entry() | {"topic": ["x"]}, "no topic"),
        (make_entry() | {"payload": None}, "no object payload"),
        (make_entry() | {"payload": {"email": "ada@example.com"}}, "timestamp is neither"),
        (make_entry() | {"payload": {"data": {"attributes": {"datetime": "soon"}}}}, "no known form"),
    ],
)
def test_wrong_shapes_are_set_aside(item: object, reason: str) -> None:
    """Each with what is wrong; the events beside it load."""
    before, bad, after = parse_entries(make_entry(), item, make_entry())
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert reason in bad.reason
    assert "@" not in bad.reason


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":{}}', b"\xff", b"[" * 100_000])
def test_wrong_bodies_are_set_aside(body: bytes) -> None:
    """As a whole."""
    (bad,) = parse(body, DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.position is None


def test_empty_list_is_no_event() -> None:
    """And no error either."""
    assert parse_entries() == []
