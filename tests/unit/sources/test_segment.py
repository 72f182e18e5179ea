import json
from typing import Any

import pytest

from common.activities import ANONYMOUS, COMPANY, FIRST, LAST, MERGE, USER, Activity, Identity, Link, Profile
from common.events import Unparseable
from sources import Item
from tests.integration.conftest import NOW
from tests.unit.sources.samples import TRACK, parse, restore

ANN = Identity(USER, "ann")


def read(message: dict[str, Any], collection: str = "batch") -> list[Item]:
    """What a message says, in a batch or by itself."""
    body: dict[str, Any] = {"batch": [message], "writeKey": "w"} if collection == "batch" else message
    return parse("segment", collection, json.dumps(body).encode())


def test_track_is_an_action_and_links() -> None:
    """A track's columns; whoever comes with both ids is one person."""
    action, link = read(TRACK)
    assert isinstance(action, Activity)
    assert (action.operation.activity_type, action.operation.name) == ("action", "Order completed")
    assert (action.identity, action.company) == (Identity(USER, "user-7"), "acme")
    assert (action.operation.route, action.agent) == ("/orders/{id}", "analytics-python/2.4.0")
    assert restore(action) == TRACK
    assert link == Link(Identity(ANONYMOUS, "anon-1"), Identity(USER, "user-7"), FIRST, action.occurred_at, 0)


def test_single_message_has_no_write_key() -> None:
    """The type of a single message follows from its path; the write key, a secret, is not kept."""
    message = {name: value for name, value in TRACK.items() if name != "type"}
    (action, _) = read({**message, "writeKey": "secret"}, "track")
    assert isinstance(action, Activity)
    assert restore(action) == message


@pytest.mark.parametrize("kind", ["page", "screen"])
def test_pages_are_activities(kind: str) -> None:
    """Pages and screens need no name; who is not known yet goes by the anonymous id."""
    (found,) = read({"type": kind, "anonymousId": "a-1", "timestamp": "2026-11-21T11:00:02Z"})
    assert isinstance(found, Activity)
    assert (found.operation.activity_type, found.operation.name) == (kind, None)
    assert found.identity == Identity(ANONYMOUS, "a-1")


def test_context_of_a_batch_is_its_messages() -> None:
    """A message without a context has that of its batch."""
    message = {"type": "track", "event": "x", "userId": "ann"}
    body = {"batch": [message], "context": {"groupId": "acme"}}
    (found,) = parse("segment", "batch", json.dumps(body).encode())
    assert isinstance(found, Activity)
    assert (found.company, found.occurred_at) == ("acme", NOW)


def test_identify_is_a_profile() -> None:
    """Traits, the address among them, and the anonymous id."""
    at = "2026-11-20T08:00:00+00:00"
    message = {"type": "identify", "userId": "ann", "anonymousId": "a", "timestamp": at, "traits": {"email": "A@x.org"}}
    profile, address, anonymous = read(message)
    assert isinstance(profile, Profile)
    assert (profile.identity, profile.traits) == (ANN, {"metadata": {"email": "A@x.org"}})
    assert isinstance(address, Link)
    assert (address.origin.value, address.rule) == ("a@x.org", LAST)
    assert isinstance(anonymous, Link)
    assert (anonymous.origin, anonymous.rule) == (Identity(ANONYMOUS, "a"), FIRST)


def test_group_is_a_companys_profile() -> None:
    """A group's traits are the company's; the user is of the company."""
    company, user = read({"type": "group", "userId": "ann", "groupId": "acme", "traits": {"plan": "pro"}})
    assert isinstance(company, Profile)
    assert isinstance(user, Profile)
    assert (company.identity, company.traits) == (Identity(COMPANY, "acme"), {"metadata": {"plan": "pro"}})
    assert (user.identity, user.traits) == (ANN, {"company_id": "acme"})


def test_alias_makes_one_person() -> None:
    """Two ids are one person from now on, whether the former was a user's or an anonymous one."""
    found = read({"type": "alias", "userId": "ann", "previousId": "old"})
    assert [(one.origin, one.user, one.rule) for one in found if isinstance(one, Link)] == [
        (Identity(USER, "old"), ANN, MERGE),
        (Identity(ANONYMOUS, "old"), ANN, FIRST),
    ]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "track", "event": "x"}, "it has neither userId nor anonymousId"),
        ({"type": "track", "userId": "ann"}, "it has no event"),
        ({"type": "alias", "userId": "ann"}, "it lacks its userId or its previousId"),
        ({"type": "group", "userId": "ann"}, "it has no groupId"),
        ({"type": "identify", "userId": "ann", "traits": []}, "its traits are not an object"),
        ({"type": "jump", "userId": "ann"}, "its type is not one of track, page, screen, identify, group, alias"),
        ({"type": "track", "event": "x", "userId": "ann", "timestamp": "soon"}, "its time is not in ISO 8601"),
        ({"type": "track", "event": "x", "userId": "a" * 601}, "its userId is longer than 600 characters"),
        ({"type": "track", "event": "x", "userId": 1.5}, "its userId is neither a text nor a whole number"),
    ],
)
def test_what_is_wrong_is_said(message: dict[str, Any], reason: str) -> None:
    """A message that can't be taken is set aside with its reason, which names no value."""
    (found,) = read(message)
    assert isinstance(found, Unparseable)
    assert (found.reason, found.item) == (reason, message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"batch":{}}', b'{"batch":[7]}', b"[" * 100_000])
def test_no_body_breaks_anything(body: bytes) -> None:
    """What can't be read is set aside."""
    (found,) = parse("segment", "batch", body)
    assert isinstance(found, Unparseable)
