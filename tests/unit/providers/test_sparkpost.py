import copy
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.traffic import batches
from common.events import EVENT_TYPES, Client, Event, Kind, Mailing, Receiver, Sender, Unparseable
from providers import UnverifiedError, WebhookRequest
from providers.sparkpost import (
    BOUNCE_CLASSES,
    MAILING_FIELDS,
    RECEIVER_FIELDS,
    SENDER_FIELDS,
    TYPES,
    find_batch_id,
    parse,
    restore,
    verify,
)
from tests.unit.common.test_details import json_values

SAMPLES = Path(__file__).parents[2] / "payloads" / "sparkpost" / "webhook-samples.json"
AT = datetime(2016, 2, 2, 19, 50, tzinfo=UTC)


def parse_one(fields: dict[str, Any], event_class: str = "message_event") -> Event:
    """The event of a body with one event of these fields."""
    defaults = {"type": "delivery", "event_id": "1", "timestamp": "1454442600"}
    (event,) = parse(json.dumps([{"msys": {event_class: defaults | fields}}]).encode())
    assert type(event) is Event, event
    return event


def test_bounce_is_normalised_whole() -> None:
    """SparkPost's sample of a bounce: every part of the event."""
    sample = json.loads(SAMPLES.read_text())[0]
    event = next(iter(parse(json.dumps([sample]).encode())))
    shared = '{"customer_id":"1","template_version":"1","msg_from":"sender@example.com"}'
    assert event == Event(
        occurred_at=AT,
        event_id="92356927693813856",
        kind=Kind(
            *("sparkpost", "bounce", "bounced"),
            bounce_class=1,
            bounce_kind="undetermined",
            reject_reason="other",
            smtp_code=554,
        ),
        mailing=Mailing(
            campaign="Example Campaign Name",
            template="templ-1234",
            subject="Summer deals are here!",
            tags=("male", "US"),
            sender=Sender(address="sender@example.com", subaccount="101", shared=shared),
        ),
        receiver=Receiver(domain="example.com", routing_domain="example.com"),
        client=None,
        recipient="recipient@example.com",
        message_id="0e0d94b7-9085-4e3c-ab30-e3f2cd9c273e",
        transmission_id="65832150921904138",
        metadata=b'{"customKey":"customValue"}',
        reason="MAIL REFUSED - IP (17.99.99.99) is in black list",
        url=None,
        ip_address="127.0.0.1",
        position=0,
        detail=event.detail,  # type: ignore[union-attr]
    )
    assert sample == restore(event)


def test_every_sample_has_its_type() -> None:
    """One sample of each type: none is unknown but what is not about a mail, or about one that came in."""
    events = [event for event in parse(SAMPLES.read_bytes()) if type(event) is Event]
    types = {event.kind.provider_type: event.kind.event_type for event in events}
    assert len(events) == len(types) == 19
    assert types == {name: TYPES[name][1] for name in types}
    unknown = {name for name, ours in types.items() if ours == "unknown"}
    assert {name for name in unknown if not name.startswith("relay_")} == {"sms_status"}
    assert unknown >= {"relay_injection", "relay_delivery", "relay_tempfail", "relay_permfail", "relay_rejection"}


def test_generated_traffic_comes_back_whole() -> None:
    """Thousands of events of all kinds: what was parsed gives back exactly what was sent."""
    for body in batches(3000, seed=5):
        assert [restore(event) for event in parse(body) if type(event) is Event] == json.loads(body)


@given(st.dictionaries(st.sampled_from([*MAILING_FIELDS, *RECEIVER_FIELDS, "rcpt_to", "raw_rcpt_to", "rcpt_tags",
                                        "rcpt_meta", "event_id", "reason", "raw_reason", "bounce_class", "user_agent",
                                        "user_agent_parsed", "customer_id", "msg_from", "open_tracking", "x", ""]),
                       json_values))  # fmt: skip
def test_any_value_anywhere_comes_back(fields: dict[str, Any]) -> None:
    """Whatever form a field's value has, the event is parsed and given back as it was."""
    item = {"msys": {"message_event": {"type": "bounce", "timestamp": "1454442600"} | fields}}
    (event,) = parse(json.dumps([item]).encode())
    assert type(event) is Event
    assert restore(event) == item


@given(json_values)
def test_any_json_is_parsed_without_raising(value: Any) -> None:
    """Valid JSON of the wrong shape becomes reasons, never an exception."""
    for body in (value, [value], [{"msys": value}], [{"msys": {"message_event": value}}]):
        for parsed in parse(json.dumps(body).encode()):
            assert type(parsed) is Unparseable
            assert parsed.reason


@given(st.binary(max_size=50))
def test_any_bytes_are_parsed_without_raising(body: bytes) -> None:
    """Bytes that are no batch become one reason for the whole body."""
    parsed = list(parse(body))
    assert all(type(each) is Unparseable for each in parsed)


TIMES = [
    ("1454442600", AT),
    (1454442600, AT),
    ("1454442600.5", AT.replace(microsecond=500_000)),
    ("2016-02-02T19:50:00.000Z", AT),
    ("2016-02-02T20:50:00+01:00", AT),
]


@pytest.mark.parametrize(("timestamp", "expected"), TIMES)
def test_times_come_in_any_form(timestamp: object, expected: datetime) -> None:
    """Seconds as text or number, with fractions, or ISO 8601."""
    assert parse_one({"timestamp": timestamp}).occurred_at == expected


@pytest.mark.parametrize("timestamp", ["", "soon", None, [], {}, "2016-02-02T19:50:00", "1e9", 1e300, "9" * 30, True])
def test_unreadable_times_are_reasons(timestamp: object) -> None:
    """A time that can't be read sets the event aside with a reason."""
    (parsed,) = parse(json.dumps([{"msys": {"message_event": {"type": "open", "timestamp": timestamp}}}]).encode())
    assert type(parsed) is Unparseable
    assert "timestamp" in parsed.reason


@pytest.mark.parametrize("body", [b"[]", b'[{"msys":{}}]', b' [ {"msys": {} } ] '])
def test_ping_is_no_event(body: bytes) -> None:
    """What SparkPost sends to see whether somebody is there holds no event and no mistake."""
    assert list(parse(body)) == []


def test_ping_counts_as_a_place() -> None:
    """Places in the batch are those of the array."""
    body = json.dumps([{"msys": {}}, 7, {"msys": {"message_event": {"type": "open", "timestamp": 1}}}]).encode()
    assert [parsed.position for parsed in parse(body)] == [1, 2]


@pytest.mark.parametrize("bounce_class", sorted(BOUNCE_CLASSES))
def test_bounce_class_tells_the_kind(bounce_class: int) -> None:
    """Every class has a kind, or makes it another type of event."""
    kind = parse_one({"type": "bounce", "bounce_class": str(bounce_class)}).kind
    expected = BOUNCE_CLASSES[bounce_class]
    assert kind.event_type == (expected.event_type or "bounced")
    assert kind.bounce_kind == (None if expected.event_type else expected.bounce_kind)
    assert kind.reject_reason == (None if expected.event_type else expected.reject_reason)
    assert kind.bounce_class == bounce_class


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        ({"error_code": "554", "raw_reason": "550 5.1.1 no such user"}, (554, "5.1.1")),
        ({"error_code": 554}, (554, None)),
        ({"error_code": "none", "raw_reason": "421 4.7.0 slow down"}, (421, "4.7.0")),
        ({"error_code": ["554"], "reason": "550 no"}, (550, None)),
        ({"error_code": "", "raw_reason": "MAIL REFUSED"}, (None, None)),
        ({}, (None, None)),
    ],
)
@pytest.mark.parametrize("provider_type", ["bounce", "delay", "policy_rejection"])
def test_reply_becomes_numbers(provider_type: str, fields: dict[str, Any], reply: tuple[object, object]) -> None:
    """The code of its own field, else of the words; the enhanced status of the words. The item comes back whole."""
    item = {"type": provider_type, **fields}
    event = parse_one(item)
    assert (event.kind.smtp_code, event.kind.enhanced_status) == reply
    assert restore(event)["msys"]["message_event"] | item == restore(event)["msys"]["message_event"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "delay", "bounce_class": "24"}, "timed_out"),
        ({"type": "delay"}, "other"),
        ({"type": "policy_rejection"}, "blocked"),
        ({"type": "policy_rejection", "bounce_class": "10"}, "invalid"),
        ({"type": "delivery"}, None),
    ],
)
def test_why_a_message_did_not_arrive(fields: dict[str, str], reason: str | None) -> None:
    """Bounces, deferrals and rejections say why in our words; a rejection without a class was a policy's."""
    assert parse_one(fields).kind.reject_reason == reason


@pytest.mark.parametrize("bounce_class", ["26", "999999", "x", "-1", 10, None, ""])
def test_unknown_bounce_class_is_undetermined(bounce_class: object) -> None:
    """A class that SparkPost has not documented, or none, leaves the kind open."""
    assert parse_one({"type": "bounce", "bounce_class": bounce_class}).kind.bounce_kind in ("undetermined", "hard")


def test_out_of_band_bounce_is_marked() -> None:
    """A bounce that came back later is one, and says so."""
    kind = parse_one({"type": "out_of_band", "bounce_class": "10"}).kind
    assert (kind.event_type, kind.bounce_kind, kind.out_of_band) == ("bounced", "hard", True)


def test_machine_and_first_opens_are_marked() -> None:
    """A prefetched open is a machine's; initial_open is the first."""
    agent = {"user_agent": "x", "user_agent_parsed": {"is_prefetched": True}}
    assert parse_one({"type": "open", **agent}, "track_event").kind.machine_open
    assert not parse_one({"type": "open"}, "track_event").kind.machine_open
    assert parse_one({"type": "initial_open"}, "track_event").kind.first_open
    assert not parse_one({"type": "click", **agent}, "track_event").kind.machine_open


@pytest.mark.parametrize(
    ("provider_type", "expected"),
    [
        ("open", ("opened", False)),
        ("initial_open", ("opened", True)),
        ("amp_open", ("opened", False)),
        ("amp_initial_open", ("opened", True)),
        ("click", ("clicked", False)),
        ("amp_click", ("clicked", False)),
    ],
)
def test_amp_twins_are_opens_and_clicks(provider_type: str, expected: tuple[str, bool]) -> None:
    """Of one open SparkPost tells twice, as an open and as the first; SparkPost's word tells the twins apart."""
    kind = parse_one({"type": provider_type}, "track_event").kind
    assert (kind.event_type, kind.first_open) == expected
    assert kind.provider_type == provider_type


@pytest.mark.parametrize("event_id", ["92356927693813856", "0f3a6c1e-5b7d-11f0-8000-0242ac110002", "007", 7])
def test_event_ids_of_any_form_are_texts(event_id: object) -> None:
    """Some types of event have a number, some a UUID: both are kept as text, as they came."""
    event = parse_one({"event_id": event_id})
    assert event.event_id == str(event_id)
    assert restore(event)["msys"]["message_event"]["event_id"] == event_id


def test_empty_campaign_is_none() -> None:
    """SparkPost sends an empty text where a message has no campaign; it comes back as such."""
    event = parse_one({"campaign_id": ""})
    assert event.mailing.campaign is None
    assert restore(event)["msys"]["message_event"]["campaign_id"] == ""


def test_received_mail_is_set_aside_by_name() -> None:
    """The URL of a relay webhook and that of an event webhook get swapped: the reason says so."""
    item = {"msys": {"relay_message": {"rcpt_to": "ada@example.com", "content": {"email_rfc822": "x"}}}}
    (bad,) = parse(json.dumps([item]).encode())
    assert type(bad) is Unparseable
    assert bad.reason.startswith("a mail that came in")


def test_unknown_type_is_kept() -> None:
    """A type that we don't know is `unknown`, with SparkPost's word and the whole event."""
    event = parse_one({"type": "teleported", "distance": 3}, "quantum_event")
    assert (event.kind.event_type, event.kind.provider_type) == ("unknown", "teleported")
    assert restore(event)["msys"]["quantum_event"]["distance"] == 3


def test_tables_are_consistent() -> None:
    """Our types exist; the fields of senders, mailings and receivers are in the order of their tuples."""
    assert {ours for _, ours in TYPES.values()} <= EVENT_TYPES
    assert tuple(MAILING_FIELDS.values()) == Mailing._fields[:-2]
    assert tuple(SENDER_FIELDS.values()) == Sender._fields[:-1]
    assert tuple(RECEIVER_FIELDS.values()) == Receiver._fields


def test_client_is_told_apart_from_its_reading() -> None:
    """User agent and SparkPost's reading of it make the client."""
    event = parse_one(
        {"type": "open", "user_agent": "Mail/1", "user_agent_parsed": {"os_family": "iOS"}}, "track_event"
    )
    assert event.client == Client("Mail/1", '{"os_family":"iOS"}')


def test_parsing_leaves_nothing_behind() -> None:
    """Parsing the same body twice gives the same events: no state, no change of what is shared."""
    body = SAMPLES.read_bytes()
    first = copy.deepcopy(list(parse(body)))
    assert list(parse(body)) == first


def test_reasons_do_not_repeat_the_data() -> None:
    """A reason says what is wrong, not who it was about: reasons are logged."""
    item = {"msys": {"message_event": {"type": "open", "timestamp": "ada@example.com", "rcpt_to": "ada@example.com"}}}
    (parsed,) = parse(json.dumps([item]).encode())
    assert type(parsed) is Unparseable
    assert not re.search("ada|example", parsed.reason)


def test_batch_id_is_the_header() -> None:
    """The batch id comes from SparkPost's header; a missing one is no mistake."""
    request = WebhookRequest("sparkpost", "POST", {"x-messagesystems-batch-id": "0f3"}, b"[]")
    assert find_batch_id(request) == "0f3"
    assert find_batch_id(request._replace(headers={})) == ""


def test_sender_is_verified_by_basic_auth() -> None:
    """SparkPost proves itself with the credentials of its webhook's settings."""
    request = WebhookRequest("sparkpost", "POST", {"authorization": "Basic bWFpbHdha2U6c2VjcmV0"}, b"[]")
    verify(request, ["secret"], datetime.now(UTC))
    with pytest.raises(UnverifiedError):
        verify(request, ["another"], datetime.now(UTC))
