import copy
import json
from typing import Any

import pytest

from common.activities import ADDRESS, COMPANY, LAST, USER, Activity, Identity, Link, Operation, Profile
from common.events import Unparseable
from tests.integration.conftest import NOW
from tests.unit.sources.samples import ACTION, CALL, parse, restore


def read_one(item: object, collection: str = "events") -> Any:
    """The only thing that an item says."""
    (found,) = parse("moesif", collection, json.dumps(item).encode())
    return found


def change(item: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """The same item with another value at a path; ABSENT takes it away."""
    changed = copy.deepcopy(item)
    *outer, last = path.split(".")
    place = changed
    for name in outer:
        place = place[name]
    if value is ABSENT:
        place.pop(last)
    else:
        place[last] = value
    return changed


ABSENT = object()
PLACES = [
    "request.time", "request.verb", "request.uri", "request.headers", "request.api_version", "response",
    "response.time", "response.status", "user_id", "company_id", "transaction_id", "direction", "weight", "metadata",
]  # fmt: skip
VALUES: list[object] = [
    ABSENT, None, "", "x", 0, 1, -5, 2**70, True, [], {}, "2026-11-21T11:00:00.250Z", "2026-11-21T12:00:00.2+01:00",
    "2026-11-21T10:00:00", "0D9EF7A1-5c36-4f0e-9b1c-8a3f6f1f2a55", "\u0000", "\ud800", 1.5,
]  # fmt: skip


def test_call_is_read() -> None:
    """A call's columns; ids in the path are one route."""
    call = read_one(CALL)
    assert call.occurred_at.isoformat() == "2026-11-21T11:00:00.250000+00:00"
    assert call.operation == Operation("moesif", "call", None, "GET", "/v1/orders/{id}/items", 200, "Incoming", "1.1.0")
    assert (call.identity, call.company, call.agent) == (Identity(USER, "user-7"), "acme", "acme-python/2.1.0")
    assert (call.duration, call.weight, call.position) == (58, 4, 0)
    detail = json.loads(call.detail)
    assert set(detail) == {"request", "response", "session_token", "metadata"}
    assert set(detail["request"]) == {"uri", "headers", "ip_address"}
    assert set(detail["response"]) == {"headers", "body"}


def test_action_is_read() -> None:
    """An action's columns; an address in a path is not a route of its own."""
    action = read_one(ACTION, "actions")
    assert action.operation == Operation("moesif", "action", "Viewed pricing", None, "/pricing/{id}")
    assert (action.identity, action.agent, action.duration) == (Identity(USER, "user-7"), "Mozilla/5.0", None)


@pytest.mark.parametrize("place", PLACES)
def test_call_comes_back_whole(place: str) -> None:
    """Whatever a field holds, a call is given back as it was sent, or set aside with a reason."""
    for value in VALUES:
        item = change(CALL, place, value)
        found = read_one(item)
        if isinstance(found, Activity):
            assert restore(found) == item
        else:
            assert isinstance(found, Unparseable)
            assert found.reason


@pytest.mark.parametrize("place", ["request", "request.time", "request.user_agent_string", "action_name", "user_id"])
def test_action_comes_back_whole(place: str) -> None:
    """The same of an action."""
    for value in VALUES:
        item = change(ACTION, place, value)
        found = read_one(item, "actions")
        assert isinstance(found, Unparseable) or restore(found) == item


@pytest.mark.parametrize(
    ("headers", "agent"),
    [
        ({"User-Agent": "a/1"}, "a/1"),
        ({"user-agent": "a/1", "host": "x"}, "a/1"),
        ({"user-agent": ""}, None),
        ({"User-Agent": ""}, None),
        ({"User-Agent": "a/1", "user-agent": ""}, None),
        ({"User-Agent": "a/1", "user-agent": "b/2"}, None),
        ({"user-agent": 7}, None),
        ({"user-agent": ["a/1"]}, None),
        ({"User-Agent": "a/1", "user-agent": "b/2", "": "c/3"}, None),
    ],
)
def test_agents_in_capitals_and_small_letters(headers: dict[str, Any], agent: str | None) -> None:
    """Node.js and HTTP/2 have headers' names in small letters; the call comes back as it was."""
    item = change(CALL, "request.headers", headers)
    call = read_one([item])
    assert call.agent == agent
    assert restore(call) == item


def test_array_is_read_one_by_one() -> None:
    """One bad item of a batch does not hold back the others."""
    items = [CALL, {"request": {"uri": "x"}}, 7, CALL]
    found = parse("moesif", "events", json.dumps(items).encode())
    assert [type(one) for one in found] == [Activity, Unparseable, Unparseable, Activity]
    assert [one.position for one in found] == [0, 1, 2, 3]
    assert [one.reason for one in found if isinstance(one, Unparseable)] == [
        "it has no time",
        "it is not a JSON object",
    ]


def test_same_call_has_the_same_key() -> None:
    """A transaction id is a call's key; without one, all that it says is; in whatever order."""
    assert read_one(CALL).key == read_one(change(CALL, "metadata", {})).key
    bare = change(CALL, "transaction_id", ABSENT)
    assert read_one(bare).key == read_one(dict(reversed(bare.items()))).key
    assert read_one(bare).key != read_one(change(bare, "metadata", {})).key
    assert read_one(change(CALL, "transaction_id", "t-1")).key == read_one(change(bare, "transaction_id", "t-1")).key


def test_user_is_a_profile_and_an_address() -> None:
    """A user's fields are traits as of modified_time; the address that they name is the user's."""
    item = {
        "user_id": "user-7",
        "company_id": "acme",
        "modified_time": "2026-11-20T08:00:00Z",
        "session_token": ["s-1", "s-2"],
        "metadata": {"email": "Ann@Example.com", "plan": "pro"},
    }
    profile, link = parse("moesif", "users", json.dumps(item).encode())
    assert isinstance(profile, Profile)
    assert isinstance(link, Link)
    user = Identity(USER, "user-7")
    assert (profile.identity, profile.at.isoformat()) == (user, "2026-11-20T08:00:00+00:00")
    assert profile.traits == {
        "company_id": "acme",
        "metadata": {"email": "Ann@Example.com", "plan": "pro"},
        "session_tokens": {"s-1": True, "s-2": True},
    }
    assert link == Link(Identity(ADDRESS, "ann@example.com"), user, LAST, profile.at, 0)


def test_company_is_a_profile_as_of_its_arrival() -> None:
    """Without modified_time what was said holds from its arrival."""
    profile = read_one({"company_id": 12, "metadata": {"plan": "pro"}}, "companies")
    assert profile == Profile(Identity(COMPANY, "12"), NOW, {"metadata": {"plan": "pro"}}, 0)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b'"x"', b"7", b"null", b'[{"user_id":{}}]'])
@pytest.mark.parametrize("collection", ["events", "actions", "users", "companies", "other"])
def test_no_body_breaks_anything(body: bytes, collection: str) -> None:
    """What can't be read is set aside with a reason."""
    found = parse("moesif", collection, body)
    assert found
    assert all(isinstance(one, Unparseable) and one.reason for one in found)


@pytest.mark.parametrize("depth", [101, 500, 900])
def test_traits_are_not_too_deep(depth: int) -> None:
    """What is nested too deeply for what follows is set aside with its reason, not with its batch."""
    deep: object = 1
    for _ in range(depth):
        deep = [deep]
    items = [{"user_id": "u", "metadata": {"deep": deep}}, {"user_id": "v"}]
    wrong, right = parse("moesif", "users", json.dumps(items).encode())
    assert isinstance(wrong, Unparseable)
    assert wrong.reason == "it is nested more than 100 levels deep"
    assert isinstance(right, Profile)
