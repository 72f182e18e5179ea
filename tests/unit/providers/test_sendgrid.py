"""SendGrid: what its payloads alone don't show."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, WebhookRequest
from providers.sendgrid import SIGNATURE, TIMESTAMP, parse, restore, verify
from tests.unit.providers.payloads import Payload, flatten, list_payloads
from tests.unit.providers.test_signatures import write_base64

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
GOLDEN = next(payload for payload in list_payloads("sendgrid") if payload.name == "sendgrid/click")


def parse_items(*items: object) -> list[Event | Unparseable]:
    """What the items of one body become."""
    return list(parse(json.dumps(items).encode(), DELIVERY))


def read(**fields: Any) -> dict[str, Any]:
    """The values of one event with these fields."""
    (event,) = parse_items({"email": "ada@example.com", "timestamp": 1795252320, "sg_event_id": "a"} | fields)
    assert isinstance(event, Event), event
    assert restore(event) == {"email": "ada@example.com", "timestamp": 1795252320, "sg_event_id": "a"} | fields
    return flatten(event)


def change(payload: Payload, **headers: str | None) -> WebhookRequest:
    """The payload's request with other headers, or without them."""
    changed = payload.request.headers | {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[operator]
    return payload.request._replace(headers={name: value for name, value in changed.items() if value is not None})


def test_golden_signature() -> None:
    """The signature covers the time and the exact body, CRLF at its end included; each live key counts."""
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now)
    verify(GOLDEN.request, GOLDEN.secrets[::-1], GOLDEN.now)
    assert GOLDEN.request.body.endswith(b"]\r\n")
    for body in (GOLDEN.request.body.strip(), json.dumps(json.loads(GOLDEN.request.body)).encode(), b"[]"):
        with pytest.raises(UnverifiedError, match="wrong signature"):
            verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request, GOLDEN.secrets[:1], GOLDEN.now)
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request, [], GOLDEN.now)


def test_one_bit_of_the_signature_flipped() -> None:
    """A signature that is nearly right is wrong."""
    given = GOLDEN.request.headers[SIGNATURE]
    with pytest.raises(UnverifiedError):
        verify(
            change(GOLDEN, **{SIGNATURE: given[:20] + ("A" if given[20] != "A" else "B") + given[21:]}),
            GOLDEN.secrets,
            GOLDEN.now,
        )


@pytest.mark.parametrize("name", [SIGNATURE, TIMESTAMP])
@pytest.mark.parametrize("value", [None, "", " ", "ä", "AAAA", "-1", "1795252321", "9" * 40, "1e9", "{"])
def test_missing_and_malformed_headers(name: str, value: str | None) -> None:
    """Whatever stands in a header, or nothing: refused."""
    with pytest.raises(UnverifiedError):
        verify(change(GOLDEN, **{name: value}), GOLDEN.secrets, GOLDEN.now)


def test_signed_long_ago() -> None:
    """SendGrid tries for a day: a signature of yesterday still counts, an older one or one of tomorrow does not."""
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now + timedelta(hours=24))
    for age in (timedelta(hours=26), -timedelta(hours=26)):
        with pytest.raises(UnverifiedError, match="too long ago"):
            verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now + age)


def test_the_time_is_signed() -> None:
    """A fresh time with an old signature is refused."""
    with pytest.raises(UnverifiedError, match="wrong signature"):
        verify(change(GOLDEN, **{TIMESTAMP: "1795252436"}), GOLDEN.secrets, GOLDEN.now)


def test_key_of_another_curve_verifies_nothing() -> None:
    """SendGrid signs with P-256 only."""
    key = ec.generate_private_key(ec.SECP384R1())
    signed = GOLDEN.request.headers[TIMESTAMP].encode() + GOLDEN.request.body
    given = base64.b64encode(key.sign(signed, ec.ECDSA(hashes.SHA256()))).decode()
    with pytest.raises(UnverifiedError):
        verify(change(GOLDEN, **{SIGNATURE: given}), [write_base64(key)], GOLDEN.now)


def test_category_is_a_text_or_a_list() -> None:
    """Both become tags."""
    assert read(event="delivered", category="receipts")["tags"] == ["receipts"]
    assert read(event="delivered", category=["receipts", "eu"])["tags"] == ["receipts", "eu"]
    assert "tags" not in read(event="delivered", category="")
    assert read(event="delivered", category=[None, "", 7])["tags"] == ["7"]


def test_arguments_are_merged_flat() -> None:
    """What is no field of SendGrid's was attached by the sender, whatever its name and value."""
    arguments = {"user_id": "4711", "arguments": {"a": 1}, "metadata": None, "": "x", "subject": "Hi"}
    assert read(event="open", sg_new_field=1, sg_machine_open=True, **arguments)["metadata"] == arguments
    assert "metadata" not in read(event="open", sg_machine_open=True, bounce_classification="Content")


def test_machine_opens() -> None:
    """Apple's proxy opens every message; only an open can be such."""
    assert read(event="open", sg_machine_open=True)["machine_open"] is True
    assert "machine_open" not in read(event="open", sg_machine_open=False)
    assert "machine_open" not in read(event="open", sg_machine_open="true")
    assert "machine_open" not in read(event="click", sg_machine_open=True)


@pytest.mark.parametrize(
    ("fields", "kind", "why"),
    [
        ({"type": "bounce"}, "hard", "bounced"),
        ({}, "hard", "bounced"),
        ({"type": "bounce", "status": "5.1.1", "bounce_classification": "Invalid Address"}, "hard", "invalid"),
        ({"type": "bounce", "status": "4.2.2"}, "soft", "bounced"),
        ({"type": "blocked", "status": "4.0.0"}, "block", "blocked"),
        ({"type": "blocked", "bounce_classification": "Technical"}, "block", "other"),
        ({"type": "expired"}, "soft", "timed_out"),
        ({"type": "novel"}, "undetermined", "other"),
        ({"type": None}, "hard", "bounced"),
        ({"type": ["x"], "bounce_classification": 7}, "hard", "bounced"),
    ],
)
def test_kinds_of_bounces(fields: dict[str, Any], kind: str, why: str) -> None:
    """A block is temporary and suppresses nobody; a bounce is for good."""
    values = read(event="bounce", **fields)
    assert (values["event_type"], values["bounce_kind"], values["reject_reason"]) == ("bounced", kind, why)


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("Bounced Address", "bounced"),
        ("bounced address: 550 no such user", "bounced"),
        ("Unsubscribed Address", "unsubscribed"),
        ("Spam Reporting Address", "spam"),
        ("Invalid", "invalid"),
        ("Invalid SMTPAPI header", "invalid"),
        ("Spam Content (if Spam Checker app is enabled)", "blocked"),
        ("Something new", "other"),
        (None, "other"),
        ({}, "other"),
    ],
)
def test_reasons_of_drops(reason: object, why: str) -> None:
    """Free text in varying case says which list the address is on."""
    values = read(event="dropped", reason=reason)
    assert (values["event_type"], values["reject_reason"]) == ("rejected", why)


def test_ip_address_is_whose() -> None:
    """Of an open or click it is the reader's, else SendGrid's own."""
    assert read(event="open", ip="192.0.2.1")["ip_address"] == "192.0.2.1"
    values = read(event="bounce", ip="192.0.2.1")
    assert (values["sending_ip"], values.get("ip_address")) == ("192.0.2.1", None)


def test_message_id_is_that_of_the_send_call() -> None:
    """Only what is before the first dot is the same on all events of a message."""
    assert read(event="open", sg_message_id="bIPqE5WtQ0.recvd-1-2.0")["message_id"] == "bIPqE5WtQ0"
    assert read(event="open", sg_message_id="bIPqE5WtQ0")["message_id"] == "bIPqE5WtQ0"


def test_smtp_id_is_no_message_id() -> None:
    """It is not reliably the Message-ID that was sent: it stays in the detail."""
    values = read(event="open", sg_message_id="bIPqE5WtQ0.recvd", **{"smtp-id": "<other@example.com>"})
    assert values["message_id"] == "bIPqE5WtQ0"
    assert "message_id" not in read(event="open", **{"smtp-id": "<other@example.com>"})


def test_copies_have_one_key() -> None:
    """The same event in another batch, place and order of fields is the same; another click is not."""
    click = {"email": "ada@example.com", "event": "click", "timestamp": 1795252320, "url": "https://example.com/"}
    first = parse_items(click | {"sg_event_id": "x"}, click | {"sg_event_id": "y"})
    again = parse_items({"sg_event_id": "y"} | click, {"sg_event_id": "x"} | click)
    assert [make_key(event) for event in first] == [make_key(event) for event in again[::-1]]
    assert len({make_key(event) for event in first}) == 2
    bare = parse_items(click, dict(reversed(click.items())), click | {"url": "https://example.com/2"})
    assert len({make_key(event) for event in bare}) == 2


def make_key(event: Event | Unparseable) -> tuple[datetime, str]:
    """What tells an event that came again."""
    assert isinstance(event, Event), event
    return event.occurred_at, event.event_id


def test_unknown_words_are_kept() -> None:
    """An event that nobody has heard of is stored as such."""
    values = read(event="teleported", destination="moon")
    assert (values["event_type"], values["provider_type"]) == ("unknown", "teleported")


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, "the event is not an object"),
        ({"timestamp": 1}, "the event has no field event"),
        ({"event": None, "timestamp": 1}, "the event has no field event"),
        ({"event": "open"}, "timestamp is neither"),
        ({"event": "open", "timestamp": "soon"}, "timestamp is neither"),
        ({"event": "open", "timestamp": 10**30}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(item: object, reason: str) -> None:
    """Each with what is wrong; the events beside it load."""
    good = {"event": "open", "timestamp": 1795252320}
    before, bad, after = parse_items(good, item, good)
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)
    assert bad.position == 1


@pytest.mark.parametrize("body", [b"", b"{}", b'{"event":"open"}', b"null", b"\xff", b"[" * 100_000])
def test_wrong_bodies_are_set_aside(body: bytes) -> None:
    """A body that is no array is set aside as a whole."""
    (bad,) = parse(body, DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.position is None


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_received_mail_is_set_aside_by_name(content_type: str) -> None:
    """The URL of Inbound Parse and that of the event webhook get swapped: the reason says so."""
    (bad,) = parse(b"to=ada%40example.com&text=x", Delivery(DELIVERY.received_at, content_type))
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith("a mail that came in")


def test_what_postgres_cannot_hold() -> None:
    """NUL and halves of surrogate pairs are replaced in the columns and kept in the item, in arguments too."""
    item = {"event": "click", "timestamp": 1795252320, "url": "a\0b", "cust\ud800om": "\udfff"}
    (event,) = parse_items(item)
    assert isinstance(event, Event)
    assert event.url == "a\ufffdb"
    assert restore(event) == item
