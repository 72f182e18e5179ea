"""MailPace: what its payloads alone don't show."""

import base64
import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from common.errors import ApiError
from common.events import Event, Unparseable
from common.objects import Bucket
from common.secrets import NamedSecrets
from providers import Delivery, UnverifiedError, WebhookRequest, find_provider
from providers.mailpace import NAME, SIGNATURE, handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads
from tests.unit.providers.test_signatures import write_base64, write_pem
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener.receiving import Receiver

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
GOLDEN = next(payload for payload in list_payloads("mailpace") if payload.name == "mailpace/delivered")
LIVE, OLDER = GOLDEN.secrets
PAYLOAD = {"id": 7, "updated_at": "2026-11-21T09:29:58.123Z", "to": "ada@example.com", "message_id": "<7@example.com>"}


def load(body: object) -> list[Event | Unparseable]:
    """What a body becomes."""
    return list(parse(body if isinstance(body, bytes) else json.dumps(body).encode(), DELIVERY))


def read(event: object = "email.delivered", **fields: Any) -> list[dict[str, Any]]:
    """The values of the events of a webhook with these fields in its payload."""
    item = {"event": event, "payload": PAYLOAD | fields}
    values = []
    for found in load(item):
        assert isinstance(found, Event), found
        assert restore(found) == item
        values.append(flatten(found))
    return values


def read_one(event: object = "email.delivered", **fields: Any) -> dict[str, Any]:
    """The values of the one event of such a webhook."""
    (values,) = read(event, **fields)
    return values


def test_golden_signature() -> None:
    """It is over the exact body, by the key as MailPace shows it, or as PEM, beside others."""
    verify(GOLDEN.request, [LIVE], GOLDEN.now)
    verify(GOLDEN.request, [OLDER, "no key", LIVE], GOLDEN.now)
    key = ed25519.Ed25519PrivateKey.generate()
    headers = {SIGNATURE: base64.b64encode(key.sign(GOLDEN.body)).decode()}
    for secret in (write_pem(key), write_base64(key)):
        verify(GOLDEN.request._replace(headers=headers), [secret], GOLDEN.now)


def flip(text: str) -> str:
    """Base64 text with its first bit turned."""
    content = base64.b64decode(text)
    return base64.b64encode(bytes([content[0] ^ 128]) + content[1:]).decode()


@pytest.mark.parametrize(
    ("body", "secrets", "signature"),
    [
        (GOLDEN.body + b"\n", [LIVE], GOLDEN.request.headers[SIGNATURE]),
        (GOLDEN.body.replace(b"grace", b"gracf"), [LIVE], GOLDEN.request.headers[SIGNATURE]),
        (GOLDEN.body, [LIVE], flip(GOLDEN.request.headers[SIGNATURE])),
        (GOLDEN.body, [OLDER], GOLDEN.request.headers[SIGNATURE]),
        (GOLDEN.body, [], GOLDEN.request.headers[SIGNATURE]),
        (GOLDEN.body, [LIVE], ""),
        (GOLDEN.body, [LIVE], "!"),
        (GOLDEN.body, [LIVE], "ä"),
        (GOLDEN.body, [LIVE], GOLDEN.request.headers[SIGNATURE][:-4]),
        (GOLDEN.body, [LIVE], base64.b64encode(bytes(64)).decode()),
        (GOLDEN.body, [LIVE], None),
    ],
)
def test_what_is_refused(body: bytes, secrets: list[str], signature: str | None) -> None:
    """A bit flipped in body or signature, a key that was replaced, no header, one of another form."""
    headers = {} if signature is None else {SIGNATURE: signature}
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(body=body, headers=headers), secrets, GOLDEN.now)


def answer(request: WebhookRequest, *, s3_fails: bool = False) -> int:
    """What MailPace is answered."""
    bucket = FakeBucket()
    bucket.failing = s3_fails
    secrets = cast("NamedSecrets", FakeSecrets(mailpace=[LIVE]))
    receiver = Receiver(bucket=cast("Bucket", bucket), secrets=secrets, clock=lambda: GOLDEN.now)
    try:
        return receiver.receive(request, "r").status
    except ApiError as error:
        return error.status


def test_no_answer_disables_the_webhook_in_vain() -> None:
    """Any error would, so it comes only where each event is lost anyway: without the right key."""
    assert answer(GOLDEN.request) == 200
    assert answer(GOLDEN.request, s3_fails=True) == 200
    for method in ("HEAD", "GET", "OPTIONS"):
        assert answer(GOLDEN.request._replace(method=method, body=b"", headers={})) == 200
    assert answer(GOLDEN.request._replace(headers={})) == 401
    provider = find_provider(NAME)
    assert provider is not None
    assert handshake(GOLDEN.request, [LIVE], GOLDEN.now) is None


@pytest.mark.parametrize(
    ("given", "recipients"),
    [
        ("Ada <Ada@Example.com>", ["ada@example.com"]),
        ("ada@example.com,grace@example.org", ["ada@example.com", "grace@example.org"]),
        ('"Lovelace, Ada" <ada@example.com>, grace@example.org', ["ada@example.com", "grace@example.org"]),
        ("ada@example.com, Ada@example.com", ["ada@example.com"]),
        ("ada@example.com, <", ["ada@example.com"]),
        ("Lovelace, Ada <ada@example.com>, grace@example.org", ["ada@example.com", "grace@example.org"]),
        ("ada@example.com, b@x@example.org", ["ada@example.com", "b@x@example.org"]),
        ("one, another", ["one", "another"]),
        (["ada@example.com", "grace@example.org", 7], ["ada@example.com", "grace@example.org"]),
        ("", []),
        (",", []),
        (None, []),
        ({}, []),
    ],
)
def test_recipients_in_one_text(given: object, recipients: list[str]) -> None:
    """A list with commas becomes an event for each address, once; without any address the event is kept."""
    events = read(to=given)
    assert [values["recipient"] for values in events if "recipient" in values] == recipients
    assert len(events) == max(1, len(recipients))
    assert len({values["event_id"] for values in events}) == len(events)


def test_keys() -> None:
    """There is no id: message, word and time of the change tell events apart, not what else the record shows."""
    first = read_one()
    for fields in ({"status": "x"}, {"tags": ["later"]}, {"to": "ada@example.com"}):
        again = read_one(**fields)
        assert (again["event_id"], again["occurred_at"]) == (first["event_id"], first["occurred_at"])
    others = [read_one("email.queued"), read_one(id=8), read_one(updated_at="2026-11-21T09:29:59Z")]
    assert len({first["event_id"], *(values["event_id"] for values in others)}) == 4
    (one, other), turned = read(to="a@example.com, b@example.com"), read(to="b@example.com, a@example.com")
    assert {one["event_id"], other["event_id"]} == {values["event_id"] for values in turned}
    unnumbered = [read_one(id=None), read_one(id=None, to="grace@example.org")]
    assert unnumbered[0]["event_id"] != unnumbered[1]["event_id"]


def test_spam_is_no_complaint() -> None:
    """MailPace's filter held the mail back; no recipient called it spam."""
    values = read_one("email.spam")
    assert (values["event_type"], values["reject_reason"]) == ("rejected", "spam")


def test_bounces_are_of_no_known_kind() -> None:
    """Nothing says whether the address is gone for good, so nobody's is given up."""
    assert read_one("email.bounced")["bounce_kind"] == "undetermined"


def test_wrong_types_and_unknown_words() -> None:
    """What is not as expected leaves its column empty; an unknown word is kept."""
    values = read_one("email.teleported", message_id=[], tags=[None, 7, "a"], subject={}, **{"from": ["x"]})
    assert (values["event_type"], values["provider_type"]) == ("unknown", "email.teleported")
    assert values["tags"] == ["7", "a"]
    assert values["transmission_id"] == "7"
    assert read_one(tags="single")["tags"] == ["single"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        ([], "not an object"),
        ({}, "has no event"),
        ({"event": 7, "payload": PAYLOAD}, "has no event"),
        ({"event": "email.queued"}, "has no object payload"),
        ({"event": "email.queued", "payload": [PAYLOAD]}, "has no object payload"),
        ({"event": "email.queued", "payload": PAYLOAD | {"updated_at": None}}, "timestamp is neither"),
        ({"from": "ada@example.com", "raw": "Received: …"}, "a mail that MailPace received"),
        ({"from": "ada@example.com", "headers": []}, "a mail that MailPace received"),
    ],
)
def test_wrong_shapes_are_set_aside(body: object, problem: str) -> None:
    """With what is wrong in words; also a received mail, where the two URLs were swapped."""
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert problem in bad.reason
