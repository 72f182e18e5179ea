"""Scaleway: what its payloads alone don't show. How what speaks like SNS proves itself: test_sns.py."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from common.aws import AwsError
from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError, WebhookRequest
from providers._fetching import Answer
from providers._sns import Sns, build_signed
from providers.scaleway import HOSTS, handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads, parse_payload
from tests.unit.providers.test_signatures import write_certificate

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
PAYLOADS = {payload.name.removeprefix("scaleway/"): payload for payload in list_payloads("scaleway")}
GOLDEN = PAYLOADS["dropped"]
TOPIC, CERTIFICATE = GOLDEN.secrets
KEY = rsa.generate_private_key(65537, 2048)
OTHER_CERTIFICATE = write_certificate(KEY)
MESSAGE = {
    "id": "6f1e8a6c-6d6f-4f0e-9f57-2f9f7a8d2001",
    "type": "email_delivered",
    "created_at": "2026-11-21T09:29:58.123456789Z",
    "email_id": "b3f1d7d0-6c3e-4bd7-8f0e-2a7f2f9c2001",
    "email_to": "ada@example.com",
}
CONFIRMATION = {
    "Type": "SubscriptionConfirmation",
    "MessageId": "165545c9-2a5c-472c-8df2-7ff2be2b3b1b",
    "Token": "2336412f37",
    "TopicArn": TOPIC,
    "Message": "You have chosen to subscribe to the topic.",
    "SubscribeURL": "https://attacker.example.com/?Action=ConfirmSubscription",
    "Timestamp": "2026-11-19T12:00:30.000Z",
    "SignatureVersion": "1",
}


def parse_message(message: object, **envelope: Any) -> list[Event | Unparseable]:
    """What a notification with this message becomes."""
    text = message if isinstance(message, str) else json.dumps(message)
    body = {"Type": "Notification", "MessageId": "id-1", "TopicArn": TOPIC, "Message": text}
    return list(parse(json.dumps(body | envelope).encode(), DELIVERY))


def read(**fields: Any) -> list[dict[str, Any]]:
    """The values of the events of a message with these fields."""
    message = {name: value for name, value in (MESSAGE | fields).items() if value != "absent"}
    values = []
    for event in parse_message(message):
        assert isinstance(event, Event), event
        assert restore(event)["Message"] == message
        values.append(flatten(event))
    return values


def read_one(**fields: Any) -> dict[str, Any]:
    """The values of the one event of a message with these fields."""
    (values,) = read(**fields)
    return values


def change_envelope(**fields: Any) -> WebhookRequest:
    """The golden request with other fields in its envelope; None: without."""
    envelope = {name: value for name, value in (json.loads(GOLDEN.body) | fields).items() if value is not None}
    return GOLDEN.request._replace(body=json.dumps(envelope).encode())


def test_golden_signature() -> None:
    """The certificate that is pasted proves it, also beside one that is being replaced; nothing is fetched."""
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now)
    verify(GOLDEN.request, [OTHER_CERTIFICATE, TOPIC, CERTIFICATE], GOLDEN.now)
    verify(GOLDEN.request, ["arn:scw:sns:nl-ams:project-1:other", *GOLDEN.secrets], GOLDEN.now)
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now + timedelta(hours=23))


@pytest.mark.parametrize(
    ("request_", "secrets", "late", "problem"),
    [
        (change_envelope(Message=json.loads(GOLDEN.body)["Message"] + " "), GOLDEN.secrets, 0, "wrong signature"),
        (change_envelope(Signature="A" + json.loads(GOLDEN.body)["Signature"][1:]), GOLDEN.secrets, 0, "wrong sig"),
        (GOLDEN.request, [TOPIC, OTHER_CERTIFICATE], 0, "wrong signature"),
        (GOLDEN.request, GOLDEN.secrets, 25, "signed too long ago"),
        (GOLDEN.request, GOLDEN.secrets, -25, "ahead of time"),
        (GOLDEN.request, [CERTIFICATE], 0, "no topic's ARN"),
        (GOLDEN.request, [], 0, "no topic's ARN"),
        (GOLDEN.request, ["arn:scw:sns:fr-par:project-1:other", CERTIFICATE], 0, "not one of those"),
        (GOLDEN.request, [TOPIC], 0, "neither a certificate nor a shared secret"),
        (change_envelope(Signature=None), GOLDEN.secrets, 0, "wrong signature"),
        (change_envelope(Signature="!"), GOLDEN.secrets, 0, "malformed base64"),
        (change_envelope(Signature=7), GOLDEN.secrets, 0, "wrong signature"),
        (change_envelope(SignatureVersion=None), GOLDEN.secrets, 0, "unknown SignatureVersion"),
        (change_envelope(Timestamp="yesterday"), GOLDEN.secrets, 0, "malformed Timestamp"),
        (GOLDEN.request._replace(body=b"{}"), GOLDEN.secrets, 0, "not an envelope"),
    ],
)
def test_what_is_refused(request_: WebhookRequest, secrets: list[str], late: int, problem: str) -> None:
    """A bit flipped, another key, stale by a day, another topic, signature missing or malformed; the log says what."""
    with pytest.raises(UnverifiedError, match=problem):
        verify(request_, secrets, GOLDEN.now + timedelta(hours=late))


def test_shared_secret_instead_of_a_certificate() -> None:
    """Where no certificate is pasted, the secret in the path counts; where both are, both must be right."""
    payload = PAYLOADS["delivered"]
    verify(payload.request, payload.secrets, payload.now)
    verify(payload.request, ["another-password", *payload.secrets], payload.now)
    for secret in ("", "path-passwore"):
        with pytest.raises(UnverifiedError):
            verify(payload.request._replace(path_secret=secret), payload.secrets, payload.now)
    both = GOLDEN.request._replace(path_secret="path-password")
    verify(both, [*GOLDEN.secrets, "path-password"], GOLDEN.now)
    with pytest.raises(UnverifiedError, match="no basic authentication"):
        verify(GOLDEN.request, [*GOLDEN.secrets, "path-password"], GOLDEN.now)
    with pytest.raises(UnverifiedError, match="wrong signature"):
        verify(both, [TOPIC, OTHER_CERTIFICATE, "path-password"], GOLDEN.now)


def greet(message: dict[str, Any], status: int = 200) -> tuple[int, list[str]]:
    """The answer to a signed confirmation, and what was asked of whom."""
    asked: list[str] = []

    def fetch(url: str) -> Answer:
        asked.append(url)
        return Answer(status, b"")

    given = KEY.sign(build_signed(message), padding.PKCS1v15(), hashes.SHA1())
    body = json.dumps(message | {"Signature": base64.b64encode(given).decode()}).encode()
    reply = Sns(HOSTS, fetch=fetch).handshake(
        GOLDEN.request._replace(body=body), [message["TopicArn"], OTHER_CERTIFICATE], GOLDEN.now
    )
    assert reply is not None
    return reply.status, asked


def test_subscription_is_confirmed_in_the_topics_region() -> None:
    """By Scaleway's API there, never by the address in the message; a notification is no handshake."""
    status, (url,) = greet(CONFIRMATION)
    assert status == 200
    assert url.startswith("https://sns.mnq.fr-par.scaleway.com/?Action=ConfirmSubscription&TopicArn=arn%3Ascw%3Asns")
    assert url.endswith("&Token=2336412f37")
    _, (url,) = greet(CONFIRMATION | {"TopicArn": TOPIC.replace("fr-par", "nl-ams")})
    assert url.startswith("https://sns.mnq.nl-ams.scaleway.com/")
    with pytest.raises(AwsError, match="ConfirmSubscription"):
        greet(CONFIRMATION, status=404)
    with pytest.raises(UnverifiedError, match="none of this provider"):
        greet(CONFIRMATION | {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:mail-events"})
    assert handshake(GOLDEN.request, GOLDEN.secrets, GOLDEN.now) is None


def test_confirmations_are_no_events() -> None:
    """Whoever stored one, it holds no events."""
    assert list(parse(json.dumps(CONFIRMATION).encode(), DELIVERY)) == []


def test_what_came_raw_comes_back_raw() -> None:
    """Without envelope the item is Scaleway's object, and the same event."""
    (raw,) = parse(json.dumps(MESSAGE).encode(), DELIVERY._replace(batch_id="id-9"))
    (wrapped,) = parse_message(MESSAGE)
    assert isinstance(raw, Event)
    assert isinstance(wrapped, Event)
    assert restore(raw) == MESSAGE
    assert (raw.event_id, raw.occurred_at) == (wrapped.event_id, wrapped.occurred_at)


def test_its_id_is_the_events_key() -> None:
    """Also where another notification carries the same event, with names in another order; without id: a hash."""
    (first,) = parse_message(MESSAGE)
    (again,) = parse_message(dict(reversed(MESSAGE.items())), MessageId="id-2", Timestamp="2026-11-21T10:00:00Z")
    assert isinstance(first, Event)
    assert isinstance(again, Event)
    assert (
        (first.event_id, first.occurred_at) == (again.event_id, again.occurred_at) == (MESSAGE["id"], first.occurred_at)
    )
    assert read_one(id="absent")["event_id"].startswith("hash:")
    assert read_one(id="")["event_id"] != read_one(id=None, email_try_count=2)["event_id"]


def test_several_recipients_become_an_event_each() -> None:
    """Each with a key of its own, once even if named twice, in whatever order they come."""
    events = read(email_to=["Ada <Ada@Example.com>", "grace@example.org", "ada@example.com"])
    assert [values["recipient"] for values in events] == ["ada@example.com", "grace@example.org"]
    turned = read(email_to=["grace@example.org", "ada@example.com"])
    assert {values["event_id"] for values in events} == {values["event_id"] for values in turned}
    assert len({values["event_id"] for values in events}) == 2


@pytest.mark.parametrize(
    ("code", "text", "bounce_kind", "reject_reason"),
    [
        (451, "Greylisted", "soft", "timed_out"),
        (0, "4.4.1 No answer from host", "soft", "timed_out"),
        (550, "5.1.1 No such user", "hard", "invalid"),
        (550, "5.7.1 Listed", "block", "blocked"),
        (554, "Refused", "undetermined", None),
        (None, None, "undetermined", None),
        ("550", ["x"], "undetermined", None),
    ],
)
def test_dropped_mail(code: Any, text: Any, bounce_kind: str, reject_reason: str | None) -> None:
    """Scaleway's word says that it gave up, the response why; a trouble that may pass is no hard bounce."""
    values = read_one(type="email_dropped", email_response_code=code, email_response_message=text)
    assert (values["event_type"], values["bounce_kind"]) == ("bounced", bounce_kind)
    assert values.get("reject_reason") == reject_reason


def test_headers_are_tags_and_metadata() -> None:
    """The sender's `X-Tag` and `X-Metadata` come back; what is of another form is passed over and kept."""
    headers = [
        {"key": "x-tag", "value": "welcome"},
        {"key": "X-Metadata", "value": "no JSON"},
        {"key": "X-Metadata", "value": '{"user_id": 7}'},
        {"key": 7},
        "x",
    ]
    values = read_one(email_headers=headers)
    assert (values["tags"], values["metadata"]) == (["welcome"], {"user_id": 7})
    assert "tags" not in read_one(email_headers={"X-Tag": "a"})


def test_unknown_types_and_wrong_values_are_kept() -> None:
    """An unknown word is an unknown event; wrong types leave their columns empty."""
    values = read_one(type="email_teleported", email_to={}, email_id=[], email_subject=7, project_id=None)
    assert values["event_type"] == "unknown"
    assert values["provider_type"] == "email_teleported"
    assert read_one(email_response_code=10**30, email_response_message="250 ok")["smtp_code"] == 250
    assert read_one(email_to=[]).get("recipient") is None


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("hello", "the topic carries something else"),
        ([], "has no type"),
        ({}, "has no type"),
        (MESSAGE | {"type": 7}, "has no type"),
        (MESSAGE | {"created_at": None}, "timestamp is neither"),
        (MESSAGE | {"created_at": "2026-13-45T99:99:99Z"}, "timestamp is neither"),
    ],
)
def test_wrong_shapes_are_set_aside(message: object, problem: str) -> None:
    """With what is wrong, in words."""
    (bad,) = parse_message(message)
    assert isinstance(bad, Unparseable)
    assert problem in bad.reason


def test_envelope_comes_back_without_its_proofs() -> None:
    """Topic, id and time are kept; signature and the address that ends the subscription are not."""
    (event,) = parse_payload(GOLDEN)
    assert set(restore(event)) == {"Type", "MessageId", "TopicArn", "Message", "Timestamp"}
    assert b"Unsubscribe" not in event.detail
