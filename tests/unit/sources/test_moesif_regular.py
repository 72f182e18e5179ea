import json
from collections.abc import Callable
from typing import Any

import pytest

from common.activities import Activity
from common.events import Unparseable
from common.json_text import decode_json
from sources import Item, _fields, _moesif_regular
from sources._fields import find_route
from sources._moesif_regular import parse_regular
from tests.unit.sources.samples import CALL, parse
from tests.unit.sources.test_moesif import ABSENT, PLACES, VALUES, change

MORE_PLACES = [
    *PLACES, "request", "request.headers.User-Agent", "request.headers.Accept", "request.body", "response.headers",
    "response.body", "session_token", "tags", "other", "request.other", "blocked_by",
]  # fmt: skip
ABSENT_PLACES = ("request.body", "tags", "other", "request.other", "blocked_by")  # of CALL
MORE_VALUES: list[object] = [
    *VALUES, {"user-agent": "a/1"}, {"User-Agent": "a", "user-agent": "b"}, {"user-agent": 1},
    "Outgoing", "PATCH", 200, 10_000, 2**31, "x" * 400, "\u00e9", {"a": {"User-Agent": "b"}}, [["x"]],
    "https://x.example/a/b@c/11?y#z", "2026-11-21T11:00:00.308z", "2026-11-21T11:00:60.308Z",
    "2026-11-21T11:00:00.251", "2026-11-21T11:00:00.251123", "2026-11-21T11:00:00.2511",
]  # fmt: skip


def show(item: Item) -> Any:
    """What an item says, whatever the order of what it holds."""
    if not isinstance(item, Activity):
        return item
    properties = None if item.properties is None else decode_json(item.properties)
    return *item[:-2], decode_json(item.detail), properties


def parse_both(body: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Item], list[Item]]:
    """What a body says by the way that is taken, and by the one that takes any form."""
    taken = parse("moesif", "events", body)
    with monkeypatch.context() as patch:
        patch.setattr(_moesif_regular, "parse_regular", lambda _body: None)
        return taken, parse("moesif", "events", body)


@pytest.mark.parametrize(
    "write", [json.dumps, lambda items: json.dumps(items, separators=(",", ":"), ensure_ascii=False)]
)
@pytest.mark.parametrize("place", MORE_PLACES)
def test_both_ways_give_the_same(monkeypatch: pytest.MonkeyPatch, place: str, write: Callable[[object], str]) -> None:
    """Whatever a field holds, a call is the same by either way; so are its neighbours."""
    for value in MORE_VALUES:
        if value is ABSENT and place in ABSENT_PLACES:
            continue
        items = [CALL, change(CALL, place, value), {**CALL, "transaction_id": "t-1"}]
        body = write(items).encode("utf-8", "surrogatepass")
        quick, slow = parse_both(body, monkeypatch)
        assert [show(one) for one in quick] == [show(one) for one in slow]


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\"User-Agent\\":\\"x"}',
        '{"A":1,"A":2,"User-Agent":"x"}',
        '{"User-Agent":"a","User-Agent":"b"}',
        '{"User\\u002dAgent":"a"}',
        '{"x":1e999}',
        '{"x":"\\ud800"}',
        '{"x":12345678901234567890123}',
        "[" * 500 + "]" * 500,
    ],
)
def test_json_in_any_form(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Escapes, names that come twice, numbers of any size: the same by either way."""
    for place in ("headers", "body"):
        body = json.dumps([change(CALL, f"request.{place}", "HERE"), CALL]).replace('"HERE"', text).encode()
        quick, slow = parse_both(body, monkeypatch)
        assert [show(one) for one in quick] == [show(one) for one in slow]


def test_usual_calls_take_the_quick_way() -> None:
    """A call as clients send it, also one without a user, an answer or an agent."""
    items = [CALL]
    for place in ("user_id", "company_id", "response", "response.time", "request.headers", "weight", "direction"):
        items += [change(CALL, place, ABSENT)]
    items += [change(CALL, place, "2026-11-21T11:00:00.300") for place in ("request.time", "response.time")]
    items += [change(CALL, place, None) for place in ("user_id", "company_id", "session_token", "metadata")]
    found = list(parse_regular(json.dumps(items).encode()) or ())
    assert [type(one) for one in found] == [Activity] * len(items)


def test_odd_call_does_not_hold_back_others() -> None:
    """Only the odd ones of a body take the other way."""
    odd = change(CALL, "transaction_id", ABSENT)
    unknown = change(CALL, "unknown", 1)
    found = list(parse_regular(json.dumps([CALL, odd, unknown, CALL]).encode()) or ())
    assert [type(one) for one in found] == [Activity, bytes, bytes, Activity]


def test_caches_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is remembered, but not without end."""
    monkeypatch.setattr(_moesif_regular, "REMEMBERED", 3)
    memory = _moesif_regular._Memory(str.upper)
    assert [memory[text] for text in "abcdea"] == list("ABCDEA")
    assert len(memory) <= 3


def test_long_texts_are_not_remembered() -> None:
    """What is remembered of calls is short, however long their URIs are."""
    before = [_fields._shape_beginning.cache_info().misses, len(_moesif_regular._operations)]
    items = [
        {**CALL, "request": {**CALL["request"], "uri": f"https://x.example/{number}" + "/orders" * 1000 + "/x/7"}}
        for number in range(3)
    ]
    found = parse("moesif", "events", json.dumps(items).encode())
    routes = {one.operation.route for one in found if isinstance(one, Activity)}
    assert routes == {("/{id}" + "/orders" * 1000)[:300]}
    assert before == [_fields._shape_beginning.cache_info().misses, len(_moesif_regular._operations)]


@pytest.mark.parametrize("body", [b'[{"request":"\xff"}]', b'["\xff"]', b"{}", b"[[]]", b"[null]"])
def test_what_is_no_call_takes_the_other_way(body: bytes) -> None:
    """Text that is not UTF-8, and bodies that are no arrays of calls, are told as ever."""
    assert all(isinstance(one, Unparseable) for one in parse("moesif", "events", body))


@pytest.mark.parametrize(
    ("uri", "route"),
    [
        ("https://api.example.com/v1/orders/81273/items?page=2", "/v1/orders/{id}/items"),
        ("https://api.example.com", "/"),
        ("https://api.example.com?x=/a/1", "/"),
        ("https://api.example.com/", "/"),
        ("https://api.example.com//5", "//{id}"),
        ("/v2/users/ann%40example.com/", "/v2/users/{id}/"),
        ("/go?to=https://x.example/y#z", "/go"),
        ("/files/0d9ef7a1-5c36-4f0e-9b1c-8a3f6f1f2a55#top", "/files/{id}"),
        ("/cus_9s6XKzkNRiz8i3", "/{id}"),
        ("5/x", "5/x"),
        ("", "/"),
    ],
)
def test_routes(uri: str, route: str) -> None:
    """The path with {id} for what looks like one."""
    assert find_route(uri) == route
