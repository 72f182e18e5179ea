"""Unisender Go: what its payloads alone don't show."""

import gzip
import json
import zlib
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest

from common.events import Event, Unparseable
from providers import Delivery, UnverifiedError
from providers.unisender_go import ENVELOPE, handshake, parse, restore, verify
from tests.unit.providers.payloads import flatten, list_payloads
from webhook_listener.receiving import LARGEST_BODY

DELIVERY = Delivery(datetime(2026, 11, 21, 9, 30, tzinfo=UTC))
PAYLOADS = {payload.name.rpartition("/")[2]: payload for payload in list_payloads("unisender_go")}
GOLDEN = PAYLOADS["clicked"]
DATA = {"email": "ada@example.com", "event_time": "2026-11-21 09:29:00", "status": "opened"}


def wrap(*items: object, **around: Any) -> bytes:
    """A body of these events."""
    return json.dumps({"auth": "0" * 32, "events_by_user": [{"user_id": 1, "events": items}]} | around).encode()


def load(body: bytes) -> list[Event | Unparseable]:
    """What a body becomes."""
    return list(parse(body, DELIVERY))


def read(**data: Any) -> dict[str, Any]:
    """The values of one event with these fields in its data."""
    item = {"event_name": "transactional_email_status", "event_data": DATA | data}
    (event,) = load(wrap(item))
    assert isinstance(event, Event), event
    assert restore(event) == item
    return flatten(event)


def test_golden_digest() -> None:
    r"""It covers the exact bytes, `\/` among them, under any live key."""
    verify(GOLDEN.request, GOLDEN.secrets, GOLDEN.now)
    verify(GOLDEN.request, GOLDEN.secrets[::-1], GOLDEN.now)
    assert b"\\/" in GOLDEN.body
    for body in (GOLDEN.body.replace(b"\\/", b"/"), GOLDEN.body + b" ", GOLDEN.body.replace(b"ada", b"bda")):
        with pytest.raises(UnverifiedError, match="wrong signature"):
            verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)
    for secrets in (GOLDEN.secrets[:1], [], [""]):
        with pytest.raises(UnverifiedError, match="wrong signature"):
            verify(GOLDEN.request, secrets, GOLDEN.now)


@pytest.mark.parametrize("auth", ["", "{", None, 7, "e", [], {}, "0" * 31, "0" * 33, "g" * 32, "0" * 32 + "\n"])
def test_hostile_auth(auth: object) -> None:
    """What is no digest is refused before anything is replaced by the key."""
    body = json.dumps({"auth": auth, "events_by_user": []}).encode()
    with pytest.raises(UnverifiedError, match="auth is not a digest"):
        verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"\x1f\x8bx", b"x\x9c\x00", b"\x78"])
def test_bodies_that_are_no_json(body: bytes) -> None:
    """They are refused, and set aside as a whole where nothing is verified."""
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)
    (bad,) = load(body)
    assert isinstance(bad, Unparseable)
    assert bad.position is None


def test_lengthened_body() -> None:
    """MD5 can be carried on from a known digest; what is added to the body is no JSON, and refused."""
    body = GOLDEN.body + b"\x80" + b"\0" * 20 + b"{}"
    with pytest.raises(UnverifiedError, match="not JSON"):
        verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_compressed_bodies(compress: Any) -> None:
    """They are verified and read as what they hold."""
    body = compress(GOLDEN.body)
    verify(GOLDEN.request._replace(body=body), GOLDEN.secrets, GOLDEN.now)
    assert load(body) == load(GOLDEN.body)
    (bad,) = load(body[:-5])
    assert isinstance(bad, Unparseable)
    with pytest.raises(UnverifiedError):
        verify(GOLDEN.request._replace(body=body[:-5]), GOLDEN.secrets, GOLDEN.now)


def test_body_that_grows_too_large() -> None:
    """Compressed it may hold as much as any other body may: nobody has proved anything before it is read."""
    body = b'{"a":"' + b" " * (LARGEST_BODY - 8) + b'"}'
    with pytest.raises(UnverifiedError, match="auth is not a digest"):
        verify(GOLDEN.request._replace(body=zlib.compress(body)), GOLDEN.secrets, GOLDEN.now)
    with pytest.raises(UnverifiedError, match="not JSON"):
        verify(GOLDEN.request._replace(body=zlib.compress(body + b" ")), GOLDEN.secrets, GOLDEN.now)


def test_greeting() -> None:
    """A GET is answered by 200; a POST is a delivery."""
    reply = handshake(GOLDEN.request._replace(method="GET"), [], GOLDEN.now)
    assert reply is not None
    assert reply.status == 200
    assert handshake(GOLDEN.request, [], GOLDEN.now) is None


def make_keys(body: bytes) -> list[tuple[datetime, str]]:
    """What tells the events of a body from others."""
    return [(event.occurred_at, event.event_id) for event in load(body) if isinstance(event, Event)]


def test_the_same_event_again() -> None:
    """Another auth, retry count, batch or form leaves the key; another link, recipient or user makes another."""
    click = {"event_name": "transactional_email_status", "event_data": DATA | {"status": "clicked", "url": "a"}}
    other = {"event_name": "transactional_email_status", "event_data": DATA | {"status": "clicked", "url": "b"}}
    keys = make_keys(wrap(click, other))
    assert len(set(keys)) == 2
    assert make_keys(wrap(other, click, auth="1" * 32, retry_count=3)) == keys[::-1]
    again = click | {"retry_count": 1, "event_data": click["event_data"] | {"retry_count": 1}}  # type: ignore[operator]
    assert make_keys(wrap(again)) == keys[:1]
    single = {"auth": "2" * 32, "user_id": 1, "retry_count": 1} | DATA | {"status": "clicked", "url": "a"}
    assert make_keys(json.dumps(single).encode()) == keys[:1]
    assert make_keys(wrap(events_by_user=[{"user_id": 2, "events": [click]}])) != keys[:1]


def test_whose_events_they_are() -> None:
    """The fields around the events are in each event's detail; each user's events are read."""
    item = {"event_name": "transactional_email_status", "event_data": DATA}
    users = [{"user_id": 1, "events": [item]}, {"user_id": 2, "project_id": "p", "events": [item]}]
    first, second = load(wrap(events_by_user=users, retry_count=2))
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert json.loads(second.detail)[ENVELOPE]["user_id"] == 2
    assert json.loads(second.detail)[ENVELOPE]["retry_count"] == 2
    assert (first.mailing.sender.subaccount, second.mailing.sender.subaccount) == ("1", "p")


@pytest.mark.parametrize(
    ("status", "event_type", "kind", "why"),
    [
        ("err_user_unknown", "bounced", "hard", "invalid"),
        ("err_mailbox_full", "bounced", "soft", "other"),
        ("err_spam_rejected", "bounced", "block", "blocked"),
        ("err_spam_skipped", "rejected", None, "spam"),
        ("err_novel", "bounced", "hard", "other"),
        (None, "bounced", "hard", "other"),
        ([], "bounced", "hard", "other"),
    ],
)
def test_hard_bounces_are_told_apart(status: object, event_type: str, kind: str | None, why: str) -> None:
    """Among what Unisender calls hard are full mailboxes, blocks, and messages that it never sent."""
    values = read(status="hard_bounced", delivery_info={"delivery_status": status})
    assert (values["event_type"], values.get("bounce_kind"), values["reject_reason"]) == (event_type, kind, why)


def test_soft_bounces_are_tried_again() -> None:
    """A soft bounce never speaks against the address."""
    values = read(status="soft_bounced", delivery_info={"delivery_status": "err_user_unknown"})
    assert values["event_type"] == "deferred"
    assert "bounce_kind" not in values


def test_digest_of_uppercase_and_key_of_any_text() -> None:
    """The digest may come in capitals; a key with other characters is no problem."""
    body = b'{"auth":"%b","status":"opened"}'
    auth = md5(body % "schlüssel".encode()).hexdigest().upper().encode()
    verify(GOLDEN.request._replace(body=body % auth), ["schlüssel"], GOLDEN.now)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (7, "the event is not an object"),
        ({}, "the event has no event_data"),
        ({"event_data": []}, "the event has no event_data"),
        ({"event_data": {}}, "the event has neither a status"),
        ({"event_data": {"status": "opened"}}, "event_time is not"),
        ({"event_data": {"status": "opened", "event_time": "2026-13-41 00:00:00"}}, "event_time is not"),
        ({"event_data": {"status": "opened", "event_time": 1795253340}}, "event_time is not"),
    ],
)
def test_wrong_shapes_are_set_aside(item: object, reason: str) -> None:
    """Each with what is wrong; the events beside it load."""
    good = {"event_name": "transactional_email_status", "event_data": DATA}
    before, bad, after = load(wrap(good, item, good))
    assert isinstance(before, Event)
    assert isinstance(after, Event)
    assert isinstance(bad, Unparseable)
    assert bad.reason.startswith(reason)


@pytest.mark.parametrize("users", [7, None, [7], [{}], [{"events": 7}]])
def test_wrong_envelopes_are_set_aside(users: object) -> None:
    """Whatever stands where the users should be."""
    (bad,) = load(wrap(events_by_user=users))
    assert isinstance(bad, Unparseable)


def test_wrong_types_within_an_event() -> None:
    """The event loads; what is wrong stays in its detail."""
    assert read(email=["x"], metadata=[], job_id={}, delivery_info=7, url=None)["event_type"] == "opened"
