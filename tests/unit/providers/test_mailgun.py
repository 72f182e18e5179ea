"""Mailgun: what its payloads alone don't show."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, WebhookRequest
from providers.mailgun import SINGLE_USE_BATCH_ID, find_batch_id, parse, restore, verify
from tests.unit.providers.payloads import Payload, flatten, list_payloads

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
DELIVERY = Delivery(NOW, "application/json")
FORM = "application/x-www-form-urlencoded"
PAYLOADS = {payload.name.removeprefix("mailgun/"): payload for payload in list_payloads("mailgun")}
GOLDEN = [pytest.param(PAYLOADS[name], id=name) for name in ("clicked", "legacy_clicked", "legacy_bounced")]
KEY = "signing key"


def sign(timestamp: object, token: object) -> str:
    """As Mailgun does."""
    return hmac.new(KEY.encode(), f"{timestamp}{token}".encode(), "sha256").hexdigest()


def make_request(signature: object, content_type: str = "application/json") -> WebhookRequest:
    """A webhook with this signature: JSON, or the form of these pairs."""
    body = urlencode(signature) if content_type == FORM else json.dumps({"signature": signature, "event-data": {}})  # type: ignore[arg-type]
    return WebhookRequest("mailgun", "POST", {"content-type": content_type}, body.encode())


def read(**fields: Any) -> dict[str, Any]:
    """The values of one event with these fields."""
    body = {"signature": {"token": "t"}, "event-data": {"timestamp": 1795252320.5, "id": "a"} | fields}
    (event,) = parse(json.dumps(body).encode(), DELIVERY)
    assert isinstance(event, Event), event
    assert restore(event) == body
    return flatten(event)


def read_form(*fields: tuple[str, str]) -> Event:
    """The event of a legacy form with these fields."""
    (event,) = parse(urlencode(fields).encode(), Delivery(NOW, FORM))
    assert isinstance(event, Event), event
    return event


@pytest.mark.parametrize("payload", GOLDEN)
def test_golden_signature(payload: Payload) -> None:
    """Time and token are signed, by any of the live keys; in JSON as in both kinds of form."""
    verify(payload.request, payload.secrets, payload.now)
    for secrets in ([], payload.secrets[:1], ["", "x"]):
        with pytest.raises(UnverifiedError, match="wrong credentials"):
            verify(payload.request, secrets, payload.now)


@pytest.mark.parametrize("payload", GOLDEN)
def test_one_bit_flipped(payload: Payload) -> None:
    """In signature, token or time."""
    request = payload.request
    token = find_batch_id(request)
    timestamp = str(int(payload.now.timestamp()) - 2)
    body = request.body
    assert token.encode() in body
    assert timestamp.encode() in body
    changes = [(token, ("0" if token[0] != "0" else "1") + token[1:]), (timestamp, str(int(timestamp) + 1))]
    for given, other in changes:
        with pytest.raises(UnverifiedError):
            verify(request._replace(body=body.replace(given.encode(), other.encode())), payload.secrets, payload.now)
    place = body.index(b"signature", body.index(token.encode())) + 20
    for other_byte in (b"0", b"1"):
        changed = body[:place] + other_byte + body[place + 1 :]
        if changed != body:
            with pytest.raises(UnverifiedError):
                verify(request._replace(body=changed), payload.secrets, payload.now)


@pytest.mark.parametrize("payload", GOLDEN)
def test_window_is_narrow(payload: Payload) -> None:
    """Only the time bounds for how long who saw a signature could use it."""
    verify(payload.request, payload.secrets, payload.now + timedelta(minutes=14))
    for age in (timedelta(minutes=16), timedelta(hours=8), -timedelta(minutes=16)):
        with pytest.raises(UnverifiedError, match="too long ago"):
            verify(payload.request, payload.secrets, payload.now + age)


def test_time_may_be_a_number() -> None:
    """What is signed is its text."""
    verify(make_request({"timestamp": 1795252320, "token": "t", "signature": sign(1795252320, "t")}), [KEY], AT)


AT = datetime.fromtimestamp(1795252320, UTC)


@pytest.mark.parametrize(
    "signature",
    [
        None,
        [],
        "x",
        {},
        {"timestamp": "1795252320", "token": "t"},
        {"timestamp": "1795252320", "signature": sign("1795252320", "")},
        {"timestamp": "1795252320", "token": "t", "signature": "not hexadecimal"},
        {"timestamp": "1795252320", "token": "t", "signature": sign("1795252320", "t")[:-2]},
        {"timestamp": "1795252320", "token": ["t"], "signature": sign("1795252320", "t")},
        {"timestamp": "1795252320", "token": "\ud800", "signature": "00"},
        {"timestamp": "soon", "token": "t", "signature": sign("soon", "t")},
        {"timestamp": 1795252320.5, "token": "t", "signature": sign(1795252320.5, "t")},
        {"timestamp": "9" * 30, "token": "t", "signature": sign("9" * 30, "t")},
    ],
)
def test_malformed_signatures(signature: object) -> None:
    """Whatever stands there, or nothing: refused."""
    with pytest.raises(UnverifiedError):
        verify(make_request(signature), [KEY], AT)


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000, b'{"event-data": {}}'])
def test_bodies_without_signature(body: bytes) -> None:
    """Refused; they have no batch id either."""
    request = WebhookRequest("mailgun", "POST", {"content-type": "application/json"}, body)
    assert find_batch_id(request) == ""
    with pytest.raises(UnverifiedError):
        verify(request, [KEY], AT)


def test_batch_id_is_the_token() -> None:
    """It is in the body; with `SINGLE_USE_BATCH_ID` the loader sets another body under it aside."""
    assert SINGLE_USE_BATCH_ID
    assert find_batch_id(make_request({"timestamp": "1", "token": "the-token", "signature": "00"})) == "the-token"


def test_parents_signature_opens_nothing() -> None:
    """A subaccount's webhook is signed by both accounts; the token that counts is the one that was checked."""
    parent = {"timestamp": "1795252320", "token": "p", "signature": sign("1795252320", "p")}
    own = {"timestamp": "1795252320", "token": "o", "signature": "00"}
    request = WebhookRequest("mailgun", "POST", {}, json.dumps({"signature": own, "parent-signature": parent}).encode())
    with pytest.raises(UnverifiedError):
        verify(request, [KEY], AT)
    assert find_batch_id(request) == "o"


def test_last_value_of_a_form_is_signed() -> None:
    """Variables share the names: of time, token and signature the last is Mailgun's, of all else the first."""
    own = [("timestamp", "1795252320"), ("token", "t"), ("signature", sign("1795252320", "t"))]
    variables = [("timestamp", "1"), ("token", "mine"), ("signature", "00")]
    verify(make_request(variables + own, FORM), [KEY], AT)
    assert find_batch_id(make_request(variables + own, FORM)) == "t"
    with pytest.raises(UnverifiedError):
        verify(make_request(own + variables, FORM), [KEY], AT)
    event = read_form(
        ("event", "opened"), ("recipient", "ada@example.com"), ("event", "mine"), ("Recipient", "x"), *variables, *own
    )
    assert (event.kind.provider_type, event.recipient, event.occurred_at) == ("opened", "ada@example.com", AT)


def test_form_comes_back() -> None:
    """Names that come twice are lists; the user's variables are metadata."""
    fields = [("event", "opened"), ("order", "7"), ("a", "1"), ("a", "2"), ("nul", "\0"), ("timestamp", "1795252320")]
    event = read_form(*fields)
    assert restore(event) == {"event": "opened", "order": "7", "a": ["1", "2"], "nul": "\0", "timestamp": "1795252320"}
    assert flatten(event)["metadata"] == {"order": "7", "a": ["1", "2"], "nul": "\ufffd"}


@pytest.mark.parametrize("name", ["Message-Id", "message-id"])
@pytest.mark.parametrize("value", ["<one@example.com>", "one@example.com"])
def test_message_id_of_a_form(name: str, value: str) -> None:
    """In either case of its name, with or without brackets."""
    assert read_form(("event", "opened"), ("timestamp", "1795252320"), (name, value)).message_id == "one@example.com"


@pytest.mark.parametrize(
    ("fields", "kind", "why", "code", "enhanced"),
    [
        ({"event": "bounced", "code": "550", "error": "5.1.1 nobody"}, "hard", "bounced", 550, "5.1.1"),
        ({"event": "bounced", "code": "5.1.1"}, "hard", "bounced", None, "5.1.1"),
        ({"event": "bounced", "code": "452"}, "soft", "bounced", 452, None),
        ({"event": "bounced"}, "hard", "bounced", None, None),
        ({"event": "dropped", "code": "605"}, None, "bounced", None, None),
        ({"event": "dropped", "code": "606"}, None, "unsubscribed", None, None),
        ({"event": "dropped", "code": "607"}, None, "spam", None, None),
        ({"event": "dropped", "code": "499"}, None, "timed_out", None, None),
        ({"event": "dropped", "reason": "old", "code": "602"}, "soft", "timed_out", None, None),
        ({"event": "dropped", "code": "²³¹"}, None, "other", None, None),
    ],
)
def test_codes_of_forms(
    fields: dict[str, str], kind: str | None, why: str, code: int | None, enhanced: str | None
) -> None:
    """Mailgun's own codes are no replies of a server; `code` may be the enhanced one."""
    found = read_form(*fields.items(), ("timestamp", "1795252320")).kind
    assert (found.bounce_kind, found.reject_reason, found.smtp_code, found.enhanced_status) == (
        kind,
        why,
        code,
        enhanced,
    )
    assert found.event_type == ("rejected" if kind is None else "bounced")


def test_form_without_event() -> None:
    """Set aside with what is wrong."""
    for body, content_type in ((b"", FORM), (b"a=1", FORM), (b"a=1", "multipart/form-data; boundary=x")):
        (bad,) = parse(body, Delivery(NOW, content_type))
        assert isinstance(bad, Unparseable)
        assert bad.reason == "the form has no field event"


@pytest.mark.parametrize("field", ["sender", "body-plain", "body-mime", "stripped-text"])
def test_received_mail_is_set_aside_by_name(field: str) -> None:
    """The URL of a route that forwards mail and that of a webhook get swapped: the reason says so."""
    form = {"recipient": "ada@example.com", "timestamp": "1795252320", "token": "t", field: "x"}
    (bad,) = parse(urlencode(form).encode(), Delivery(NOW, FORM))
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith("a mail that came in")


@pytest.mark.parametrize(
    ("fields", "event_type", "kind", "why"),
    [
        ({"severity": "temporary", "reason": "bounce", "delivery-status": {"code": 550}}, "deferred", None, None),
        ({"severity": "temporary", "delivery-status": {"code": 499}}, "deferred", None, "timed_out"),
        ({"severity": "permanent", "reason": "bounce"}, "bounced", "hard", "bounced"),
        ({"severity": "permanent", "reason": "espblock"}, "bounced", "block", "blocked"),
        ({"severity": "permanent", "reason": "old", "delivery-status": {"code": 602}}, "bounced", "soft", "timed_out"),
        ({"severity": "permanent", "reason": "generic", "delivery-status": {"code": 554}}, "bounced", "hard", "other"),
        ({"severity": "permanent", "reason": "generic", "delivery-status": {"code": 452}}, "bounced", "soft", "other"),
        (
            {"severity": "permanent", "reason": "generic", "delivery-status": {"code": 554, "bounce-type": "soft"}},
            "bounced",
            "soft",
            "other",
        ),
        ({"severity": "permanent", "reason": "suppress-bounce"}, "rejected", None, "bounced"),
        ({"severity": "permanent", "reason": "suppress-complaint"}, "rejected", None, "spam"),
        ({"severity": "permanent", "reason": "suppress-unsubscribe"}, "rejected", None, "unsubscribed"),
        ({"severity": "permanent", "delivery-status": {"code": 607}}, "rejected", None, "spam"),
        ({}, "bounced", "undetermined", "other"),
    ],
)
def test_failures(fields: dict[str, Any], event_type: str, kind: str | None, why: str | None) -> None:
    """A temporary failure is no bounce, and what is suppressed was never sent."""
    values = read(event="failed", recipient="ada@example.com", **fields)
    assert (values["event_type"], values.get("bounce_kind"), values.get("reject_reason")) == (event_type, kind, why)


@pytest.mark.parametrize(
    ("status", "code", "enhanced"),
    [
        ({"code": 550, "message": "5.1.1 nobody"}, 550, "5.1.1"),
        ({"code": "550"}, 550, None),
        ({"code": "5.1.1"}, None, "5.1.1"),
        ({"code": 605}, None, None),
        ({"code": 498}, None, None),
        ({"code": 0}, None, None),
        ({"code": None, "message": "550 5.7.1 no"}, 550, "5.7.1"),
        ({"code": 550, "enhanced-code": "5.2.1", "message": "5.1.1"}, 550, "5.2.1"),
        ({"code": {}}, None, None),
    ],
)
def test_codes(status: dict[str, Any], code: int | None, enhanced: str | None) -> None:
    """The reply's code and the enhanced one, wherever they stand; Mailgun's own codes are none."""
    values = read(event="failed", **{"delivery-status": status})
    assert (values.get("smtp_code"), values.get("enhanced_status")) == (code, enhanced)


@pytest.mark.parametrize("name", ["delivery-status", "client-info", "message", "envelope", "template", "campaigns"])
@pytest.mark.parametrize("value", [None, [], "", 7, {"headers": None}])
def test_objects_may_be_null(name: str, value: object) -> None:
    """Undocumented, and seen: the event loads without what the object would say."""
    assert read(event="opened", **{name: value})["event_type"] == "opened"


def test_user_variables_may_be_a_list() -> None:
    """An empty list stands for none."""
    assert "metadata" not in read(event="opened", **{"user-variables": []})


def test_key_is_id_and_time() -> None:
    """An id is unique within a day only; without one the content without the signature is it."""
    body: dict[str, Any] = {
        "signature": {"token": "1"},
        "event-data": {"event": "opened", "timestamp": 1795252320.5, "ip": "a"},
    }
    again = body | {"signature": {"token": "2"}}
    other = body | {"event-data": body["event-data"] | {"ip": "b"}}
    first, second, third = (next(parse(json.dumps(item).encode(), DELIVERY)) for item in (body, again, other))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert isinstance(third, Event)
    assert first.event_id == second.event_id != third.event_id
    assert first.occurred_at == AT + timedelta(seconds=0.5)


def test_id_on_another_day_is_another_event() -> None:
    """Mailgun gives an id again after a day; what comes again for the same moment is the same."""
    fields = {"event": "opened", "id": "a"}
    keys = []
    for timestamp in (1795252320.5, 1795252320.5, 1795252320.5 + 86400):
        body = {"signature": {}, "event-data": fields | {"timestamp": timestamp}}
        (event,) = parse(json.dumps(body).encode(), DELIVERY)
        assert isinstance(event, Event)
        keys.append((event.occurred_at, event.event_id))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("value", ["one@example.com", "<one@example.com>"])
def test_message_id_with_or_without_brackets(value: str) -> None:
    """It is the same message."""
    assert read(event="opened", message={"headers": {"message-id": value}})["message_id"] == "one@example.com"


def test_unknown_words_are_kept() -> None:
    """An event that nobody has heard of is stored as such."""
    assert read(event="teleported")["event_type"] == "unknown"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "the event is not an object"),
        (b"{}", "the body has no object event-data"),
        (b'{"event-data": []}', "the body has no object event-data"),
        (b'{"event-data": {}}', "the event has no event-data.event"),
        (b'{"event-data": {"event": 7}}', "the event has no event-data.event"),
        (b'{"event-data": {"event": "opened"}}', "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(body: bytes, reason: str) -> None:
    """Each with what is wrong."""
    (bad,) = parse(body, DELIVERY)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)
