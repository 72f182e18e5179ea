import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from common.errors import ApiError
from common.events import Json
from query_events.masking import LINKS, PRIVATE, RECIPIENTS, check_filters, mask_link, mask_result, mask_text
from query_events.routing import READ_EVENTS, READ_PII, Caller

FIELDS = sorted(PRIVATE | RECIPIENTS | LINKS | {"reason", "msg_from", "rcpt_tags", "subject", "friendly_from", "x"})
SURROUNDINGS = ["{}", "<{}>", "550 5.1.1 <{}>: user unknown", "to={},", '"{}"', "{};{}", "mailto:{}?subject=hello"]
LINKS_WITH_ADDRESSES = [
    "https://shop.example/{}/off",
    "https://shop.example/off?who={}&n=1",
    "https://shop.example/#{}",
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ada@example.com", "a***@example.com"),
        ("Ada Lovelace <ada.l+news@Example.com>", "Ada Lovelace <a***@Example.com>"),
        (
            "550 <ada@example.com>: unknown; try bob@example.org.",
            "550 <a***@example.com>: unknown; try b***@example.org.",
        ),
        ("msprvs1=175xx=bounces-1@bounce.example.com", "m***@bounce.example.com"),
        ("bounces+ada=example.com@mail.example", "b***@mail.example"),
        ("o'brien/x@example.com", "o***@example.com"),
        ("ada%40example.com", "a***%40example.com"),
        ("ada%2540example.com", "a***%2540example.com"),
        ('"ada lovelace"@example.com', "***@example.com"),
        ("ada(home)@example.com", "***@example.com"),
        ("ada@[192.0.2.1]", "a***@[192.0.2.1]"),
        ("a@b@example.com", "a***@b***@example.com"),
        ("https://shop.example/u/ada@example.com", "https://shop.example/u/a***@example.com"),
        ("жанна@пример.рф", "ж***@пример.рф"),
        ("@example", "***@example"),
        ("404 Mozilla/5.0 40%", "404 Mozilla/5.0 40%"),
        ("", ""),
    ],
)
def test_addresses_in_a_text_are_masked(text: str, expected: str) -> None:
    """The first character and the domain are left, and the text around."""
    assert mask_text(text) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("https://shop.example/a?b=c&e=YWRhQGV4", "https://shop.example/a?***"),
        ("https://shop.example/a#YWRhQGV4", "https://shop.example/a#***"),
        ("https://shop.example/ada%40example.com/a", "https://shop.example/a***%40example.com/a"),
        ("https://shop.example/", "https://shop.example/"),
    ],
)
def test_links_end_with_their_path(link: str, expected: str) -> None:
    """What stands behind the path may say who clicked in a form that nobody recognises."""
    assert mask_link(link) == expected


def test_private_fields_keep_their_names() -> None:
    """Metadata, places and hashes are hidden at any depth; their names, empty ones and nulls stay."""
    result = {
        "type": "open",
        "rcpt_to": "ada",
        "rcpt_hash": "6f0c",
        "rcpt_meta": {"plan": "pro", "list": [1, 2], "deep": {"n": 1, "none": None}, "empty": {}, "b@x.y": True},
        "geo_ip": {"country": "US", "latitude": 39.17},
        "ip_address": "192.0.2.1",
        "messages": [{"metadata": {"plan": "pro"}, "count": 3}],
    }
    assert mask_result(result) == {
        "type": "open",
        "rcpt_to": "a***",
        "rcpt_hash": "***",
        "rcpt_meta": {"plan": "***", "list": "***", "deep": {"n": "***", "none": None}, "empty": {}, "b***@x.y": "***"},
        "geo_ip": {"country": "***", "latitude": "***"},
        "ip_address": "***",
        "messages": [{"metadata": {"plan": "***"}, "count": 3}],
    }


def test_masking_leaves_the_given_result_alone() -> None:
    """What is masked may be shared with other results."""
    result: Json = {"rcpt_meta": {"a": 1}, "rcpt_tags": ["b@x.y"], "geo_ip": {"country": "US"}}
    before = json.dumps(result)
    mask_result(result)
    assert json.dumps(result) == before


@st.composite
def addresses(draw: st.DrawFn) -> str:
    """Addresses, some with a quoted local part."""
    address = draw(st.emails())
    local, _, domain = address.rpartition("@")
    if draw(st.booleans()):
        inner = draw(st.text('ab @<>,;:()[]\\"', max_size=8)).replace("\\", "\\\\").replace('"', '\\"')
        local = f'"{inner}"'
    return f"{local}@{domain}"


def bury(value: object, path: list[str | None]) -> object:
    """The value under these names; None is an array."""
    for name in reversed(path):
        value = [1, value] if name is None else {name: value, "other": None}
    return value


@example("a@b.co", "{}", [], False)
@example("ada@example.com", "https://shop.example/off?who={}&n=1", ["target_link_url"], True)
@given(
    addresses(),
    st.sampled_from([*SURROUNDINGS, *LINKS_WITH_ADDRESSES]),
    st.lists(st.none() | st.sampled_from(FIELDS) | st.text(max_size=5), max_size=4),
    st.booleans(),
)
def test_address_never_shows(address: str, around: str, path: list[str | None], encoded: bool) -> None:
    """An address does not get through wherever it stands: in any field, text or link, encoded or not, or as a name."""
    planted = quote(address, safe="") if encoded else address
    text = around.replace("{}", planted)
    result: dict[str, Any] = {"planted": bury(text, path), text: 1}
    seen = json.dumps(mask_result(result), ensure_ascii=False)
    local = planted.rpartition("%40" if encoded else "@")[0]
    assume(not local.endswith("*"))  # it may look as if it were masked
    for form in (local + "@", local + "%40"):
        assert json.dumps(form, ensure_ascii=False)[1:-1] not in seen


@given(st.text('a@%40 <"/:?', max_size=60))
def test_any_text_can_be_masked(text: str) -> None:
    """Nothing before an at sign is left but one character, whatever the text looks like."""
    masked = mask_text(text)
    assert all(piece.endswith("***") for piece in masked.split("@")[:-1])


def test_long_texts_take_no_time() -> None:
    """A megabyte with an at sign at its end, or in all places, is read about once."""
    assert mask_text("a" * 1_000_000 + "@b") == "a***@b"
    assert mask_text("a@" * 500_000).count("***") == 500_000


TELLING = [
    *("prefix.recipients", "not.prefix.recipients", "metadata.plan", "not.metadata.plan", "prefix.metadata.plan"),
    *("reason", "not.reason", "prefix.reasons", "not.prefix.reasons", "prefix.subjects", "prefix.messages"),
    *("prefix.urls", "prefix.from_addresses"),
]


@pytest.mark.parametrize("name", [*TELLING, "ip_addresses", "not.ip_addresses"])
def test_filters_on_what_is_masked_need_the_scope(name: str) -> None:
    """Counting what begins with a, with ab, with abc would tell an address; so would guessing metadata."""
    with pytest.raises(ApiError) as refusal:
        check_filters(["from", name], Caller("agency", frozenset({READ_EVENTS})))
    assert refusal.value.status == 403
    assert READ_PII in refusal.value.description
    assert "plan" not in refusal.value.description
    check_filters(["from", name], Caller("rep", frozenset({READ_EVENTS, READ_PII})))


def test_whole_addresses_may_be_asked_for() -> None:
    """Who asks for an address knows it; whole words tell no more."""
    names = ["recipients", "not.recipients", "reasons", "messages", "urls", "prefix.campaigns"]
    check_filters(names, Caller("agency", frozenset({READ_EVENTS})))
