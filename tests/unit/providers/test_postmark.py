"""Postmark: what its payloads alone don't show."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, find_provider
from providers.postmark import BOUNCES, NAME, parse, restore, verify
from tests.unit.providers.payloads import NOW, flatten, list_payloads

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC), "application/json")
PAYLOADS = {payload.name.removeprefix("postmark/"): payload for payload in list_payloads("postmark")}
GOLDEN = PAYLOADS["click"]
OTHER, PASSWORD = GOLDEN.secrets
OPEN = {
    "RecordType": "Open",
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79999",
    "Recipient": "ada@example.com",
    "ReceivedAt": "2026-11-21T09:29:58.1234567Z",
    "Metadata": {},
    "Tag": "",
}
BOUNCE = {
    "RecordType": "Bounce",
    "ID": 692560173999,
    "Type": "HardBounce",
    "TypeCode": 1,
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79999",
    "Email": "ada@example.com",
    "BouncedAt": "2026-11-21T04:29:58.1234567-05:00",
    "Details": "smtp;550 5.1.1 No such user",
}
CHANGE = {
    "RecordType": "SubscriptionChange",
    "MessageID": "883953f4-6105-42a2-a16a-77a8eac79999",
    "Recipient": "ada@example.com",
    "ChangedAt": "2026-11-21T09:29:58Z",
    "SuppressSending": True,
    "SuppressionReason": "ManualSuppression",
}


def load(body: object) -> list[Event | Unparseable]:
    """What a body becomes."""
    return list(parse(body if isinstance(body, bytes) else json.dumps(body).encode(), DELIVERY))


def read(record: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The values of this record with these fields, which comes back whole; "absent" takes one out."""
    item = {name: value for name, value in (record | fields).items() if value != "absent"}
    (event,) = load(item)
    assert isinstance(event, Event), event
    assert restore(event) == item
    return flatten(event)


def write_basic(text: str) -> dict[str, str]:
    """An Authorization header."""
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


def test_shared_secret() -> None:
    """Postmark signs nothing: user and password in the URL, or a secret in its path, beside one being replaced."""
    verify(GOLDEN.request, [PASSWORD], NOW)
    verify(GOLDEN.request, [OTHER, PASSWORD], NOW)
    verify(GOLDEN.request._replace(headers={}, path_secret=PASSWORD), [OTHER, PASSWORD], NOW)
    verify(GOLDEN.request._replace(headers=write_basic("shop:pa:ss")), ["shop:pa:ss"], NOW)


@pytest.mark.parametrize(
    ("headers", "path_secret", "secrets"),
    [
        ({}, "", [PASSWORD]),
        ({"authorization": "Basic"}, "", [PASSWORD]),
        ({"authorization": "Basic !"}, "", [PASSWORD]),
        ({"authorization": "Bearer x"}, "", [PASSWORD]),
        (write_basic("mailwake:hook passwore"), "", [PASSWORD]),
        (write_basic("other:hook password"), "", [PASSWORD]),
        (write_basic("mailwake:hook password"), "", [OTHER]),
        (write_basic("mailwake:hook password"), "", []),
        (write_basic("mailwake:hook password"), "wrong", [PASSWORD]),
        ({}, "hook passwore", [PASSWORD]),
    ],
)
def test_what_is_refused(headers: dict[str, str], path_secret: str, secrets: list[str]) -> None:
    """No header, a malformed one, a letter changed, a password that was replaced."""
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(headers=headers, path_secret=path_secret), secrets, NOW)


def test_answers_keep_the_retries() -> None:
    """403 would end them; what could not be stored is a 5xx."""
    provider = find_provider(NAME)
    assert provider is not None
    assert provider.ANSWERS.unauthorized == 401
    assert provider.ANSWERS.unavailable == 503


@pytest.mark.parametrize(
    ("record", "fields"),
    [
        (OPEN, {}),
        (OPEN, {"RecordType": "Delivery", "ReceivedAt": "absent", "DeliveredAt": "2026-11-21T09:29:58.1234567Z"}),
        (BOUNCE, {}),
        (BOUNCE, {"RecordType": "SpamComplaint", "Type": "SpamComplaint"}),
        (BOUNCE, {"Email": "absent", "Recipient": "Ada@Example.com"}),
        (CHANGE, {"ChangedAt": "2026-11-21T09:29:58.1234567Z"}),
    ],
)
def test_names_of_recipient_and_time(record: dict[str, Any], fields: dict[str, Any]) -> None:
    """`Email` or `Recipient`, and one of four names of the time, with seven digits and any zone."""
    values = read(record, **fields)
    assert values["recipient"] == "ada@example.com"
    assert values["occurred_at"] == "2026-11-21T09:29:58.123Z"


@pytest.mark.parametrize(
    ("record", "fields", "provider_type"),
    [
        (BOUNCE, {}, "Bounce/HardBounce"),
        (CHANGE, {}, "SubscriptionChange/ManualSuppression"),
        (OPEN, {"FirstOpen": False}, "Open"),
        (OPEN, {"OriginalLink": "https://shop.example.com/"}, "Click"),
        (OPEN, {"ReceivedAt": "absent", "DeliveredAt": "2026-11-21T09:29:58Z"}, "Delivery"),
    ],
)
def test_records_from_before_2018(record: dict[str, Any], fields: dict[str, Any], provider_type: str) -> None:
    """They have no RecordType: their fields tell them apart."""
    assert read(record, RecordType="absent", **fields)["provider_type"] == provider_type


@pytest.mark.parametrize(
    ("suppress", "reason", "event_type", "kind", "why"),
    [
        (True, "HardBounce", "bounced", "hard", "bounced"),
        (True, "SpamComplaint", "complained", None, "spam"),
        (True, "ManualSuppression", "unsubscribed", None, "unsubscribed"),
        (True, "Teleported", "unsubscribed", None, "other"),
        (True, None, "unsubscribed", None, "other"),
        (None, "HardBounce", "bounced", "hard", "bounced"),
        (False, None, "subscribed", None, None),
        (False, "HardBounce", "subscribed", None, None),
    ],
)
def test_subscription_changes_also_report_bounces(
    suppress: object, reason: object, event_type: str, kind: str | None, why: str | None
) -> None:
    """What happened is in the reason, unless mail may go there again."""
    values = read(CHANGE, SuppressSending=suppress, SuppressionReason=reason)
    assert values["event_type"] == event_type
    assert (values.get("bounce_kind"), values.get("reject_reason")) == (kind, why)


def test_unsubscribe_that_calls_itself_a_bounce() -> None:
    """It has neither Email nor BouncedAt nor SuppressSending, and an empty tag: unsubscribed, not bounced."""
    record = CHANGE | {"RecordType": "Bounce", "Type": "Unsubscribe", "ID": 7, "Tag": ""}
    values = read(record, SuppressSending="absent", SuppressionReason="absent")
    assert (values["event_type"], values["provider_type"]) == ("unsubscribed", "Bounce/Unsubscribe")
    assert values["recipient"] == "ada@example.com"
    assert "tags" not in values
    assert "bounce_kind" not in values


@pytest.mark.parametrize("metadata", [None, "", [], 7, {}, "absent"])
@pytest.mark.parametrize("record", [OPEN, BOUNCE, CHANGE])
def test_metadata_may_be_null(record: dict[str, Any], metadata: object) -> None:
    """Or anything else that is no object with names: there is none then."""
    assert "metadata" not in read(record, Metadata=metadata)


@pytest.mark.parametrize("tag", [None, "", "absent", [], {}])
def test_tag_may_be_empty(tag: object) -> None:
    """Then there are no tags, not an empty one."""
    assert "tags" not in read(OPEN, Tag=tag)


@pytest.mark.parametrize(
    ("word", "event_type", "kind", "why"),
    [
        ("HardBounce", "bounced", "hard", "bounced"),
        ("SoftBounce", "bounced", "soft", "bounced"),
        ("Transient", "deferred", "soft", None),
        ("DnsError", "deferred", "soft", None),
        ("OpenRelayTest", "deferred", None, None),
        ("Blocked", "bounced", "block", "blocked"),
        ("SpamNotification", "bounced", "block", "spam"),
        ("DMARCPolicy", "rejected", "block", "blocked"),
        ("BadEmailAddress", "rejected", "hard", "invalid"),
        ("ManuallyDeactivated", "rejected", None, "blocked"),
        ("SpamComplaint", "complained", None, "spam"),
        ("AutoResponder", "autoresponded", None, None),
        ("ChallengeVerification", "autoresponded", None, None),
        ("TemplateRenderingFailed", "failed", None, None),
        ("Teleported", "bounced", "undetermined", "other"),
        (None, "bounced", "undetermined", "other"),
        ([], "bounced", "undetermined", "other"),
    ],
)
def test_types_of_bounces(word: object, event_type: str, kind: str | None, why: str | None) -> None:
    """A mail that Postmark still tries is deferred, a robot's answer is no bounce; only dead addresses are hard."""
    values = read(BOUNCE, Type=word)
    assert values["event_type"] == event_type
    assert (values.get("bounce_kind"), values.get("reject_reason")) == (kind, why)


def test_hard_bounces_are_few() -> None:
    """No other type gives an address up."""
    assert {word for word, (_, kind, _) in BOUNCES.items() if kind == "hard"} == {"HardBounce", "BadEmailAddress"}


def test_first_opens() -> None:
    """Marked where Postmark says so, and on opens only."""
    assert read(OPEN, FirstOpen=True)["first_open"] is True
    for record, first in ((OPEN, False), (OPEN, "yes"), (OPEN, None), (OPEN | {"RecordType": "Delivery"}, True)):
        assert "first_open" not in read(record, FirstOpen=first)


def test_ids() -> None:
    """A bounce's id may have 64 bits; only bounces and complaints have one; for the others the record is the key."""
    assert read(BOUNCE, ID=2**63 - 1)["event_id"] == f"Bounce:{2**63 - 1}"
    assert read(BOUNCE)["event_id"] == read(BOUNCE, Inactive=True, CanActivate=False)["event_id"]
    complaint = read(BOUNCE, RecordType="SpamComplaint", Type="SpamComplaint")
    assert complaint["event_id"] != read(BOUNCE)["event_id"]
    odd: list[Any] = [0, -1, None, "", "x", True, 1.5, []]
    for given in odd:
        assert read(BOUNCE, ID=given)["event_id"].startswith("hash:")
    first = read(OPEN)
    assert first["event_id"].startswith("hash:")
    assert read(dict(reversed(OPEN.items())))["event_id"] == first["event_id"]


def test_two_opens_differ() -> None:
    """In time, in reader, in recipient, in message, or from a click."""
    others: list[dict[str, Any]] = [
        {"ReceivedAt": "2026-11-21T09:29:58.1234568Z"},
        {"UserAgent": "Mail/2"},
        {"Recipient": "grace@example.org"},
        {"MessageID": "883953f4-6105-42a2-a16a-77a8eac70000"},
        {"RecordType": "Click"},
    ]
    assert len({read(OPEN)["event_id"], *(read(OPEN, **fields)["event_id"] for fields in others)}) == 6


def test_check_in_the_console() -> None:
    """Its record has made-up values and may lack some: what can be read is an event, the rest is set aside."""
    nobody = "00000000-0000-0000-0000-000000000000"
    assert read(BOUNCE, MessageID=nobody, ID=42, Metadata=None, Tag="Test")["message_id"] == nobody
    (bad,) = load({"RecordType": "Delivery", "MessageID": nobody, "Recipient": "ada@example.com"})
    assert isinstance(bad, Unparseable)
    assert "the record has no time" in bad.reason


@pytest.mark.parametrize("fields", [{"RecordType": "Inbound"}, {"FromFull": {"Email": "ada@example.com"}}])
def test_received_mail_is_set_aside_by_name(fields: dict[str, Any]) -> None:
    """Where the two URLs were swapped, the mistake is told; older mails have no RecordType."""
    (bad,) = load({"Date": "Sat, 21 Nov 2026 09:29:58 +0000", "MessageID": "m", **fields})
    assert isinstance(bad, Unparseable)
    assert "a mail that Postmark received" in bad.reason


def test_wrong_types_and_unknown_words() -> None:
    """What is not as expected leaves its column empty; an unknown word is kept."""
    values = read(OPEN, RecordType="Teleport", Recipient=[], MessageID=7, Geo=[7], UserAgent={}, Details=7, ServerID=[])
    assert (values["event_type"], values["provider_type"], values["message_id"]) == ("unknown", "Teleport", "7")
    assert read(OPEN, Geo={"IP": None})["event_type"] == "opened"
    assert read(OPEN, Geo={"IP": "192.0.2.7", "City": "Oslo"})["ip_address"] == "192.0.2.7"
    assert read(BOUNCE, Details=None, Description="The server said 452 4.2.2")["reason"] == "The server said 452 4.2.2"
    for word in ("SMTPApiError", "SMTPAPIError"):
        assert read(OPEN, RecordType=word)["event_type"] == "failed"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        ([OPEN], "not an object"),
        (7, "not an object"),
        ({}, "has no RecordType"),
        ({"RecordType": 7}, "has no RecordType"),
        (OPEN | {"ReceivedAt": None}, "has no time"),
        (OPEN | {"ReceivedAt": "yesterday"}, "timestamp is neither"),
        (OPEN | {"ReceivedAt": "2026-11-21T09:29:58"}, "timestamp is neither"),
        (OPEN | {"ReceivedAt": 10**400}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(body: object, problem: str) -> None:
    """With what is wrong, in words."""
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert problem in bad.reason
