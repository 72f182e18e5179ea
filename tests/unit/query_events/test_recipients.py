from datetime import timedelta
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ApiError
from local.payloads import split_target
from query_events.recipients import PATH, build_next_link, choose, normalise_address
from query_events.routes import TABLE
from query_events.states import Fact, get_position
from query_events.walks import Stretch
from tests.unit.query_events.test_states import START, make_fact


@pytest.mark.parametrize(
    ("segment", "address"),
    [
        ("ada@example.com", "ada@example.com"),
        ("ADA@Example.com/", "ada@example.com"),
        (" ada@example.com\n", "ada@example.com"),
        ("ada+news@example.com", "ada+news@example.com"),
        ("a/b@example.com", "a/b@example.com"),
        ("a%40b@example.com", "a%40b@example.com"),
        ("äda@example.com", "äda@example.com"),
        ("ada\0@example.com", "ada\ufffd@example.com"),
    ],
)
def test_address_of_a_path(segment: str, address: str) -> None:
    """The gateway has decoded the path once: a plus is a plus, a percent sign one, and a slash part of the address."""
    route, values = TABLE.find("GET", f"/api/v1/recipients/{segment}")
    assert route.path == PATH
    assert normalise_address(values["address"]) == address


@pytest.mark.parametrize(
    ("segment", "address"),
    [
        ("ada%40example.com", "ada@example.com"),
        ("ada%2Bnews@example.com", "ada+news@example.com"),
        ("a%2Fb@example.com", "a/b@example.com"),
        ("a%2540b@example.com", "a%40b@example.com"),
        ("%C3%A4da@example.com", "äda@example.com"),
    ],
)
def test_address_of_a_url_is_decoded_once(segment: str, address: str) -> None:
    """What a client encoded once arrives as it was."""
    path, _ = split_target(f"/api/v1/recipients/{segment}?per_page=1")
    assert TABLE.find("GET", path)[1] == {"address": address}


def test_other_routes_variables_hold_no_slash() -> None:
    """Only an address and a message's id may have one."""
    with pytest.raises(ApiError):
        TABLE.find("GET", "/api/v1/events/message/x")
    assert TABLE.find("GET", "/api/v1/messages/a/b=")[1] == {"message_id": "a/b="}


def test_next_link_leads_to_the_same_address() -> None:
    """The link to the next page repeats the address and the filters."""
    link = build_next_link("a/b +ä@example.com", {"per_page": "2", "cursor": "old"}, (START, 1))
    path, _, query = link.partition("?")
    assert TABLE.find("GET", unquote(path))[1] == {"address": "a/b +ä@example.com"}
    assert query.startswith("per_page=2&cursor=")
    assert "old" not in query


messages = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["a", "b", "c", None])), max_size=15, unique=True)


@given(messages, st.integers(1, 5))
def test_page_takes_the_newest_entries(life: list[tuple[int, str | None]], size: int) -> None:
    """A page has as many entries as asked for, each message once, and tells whether there are more below its end."""
    facts = [make_fact("opened", minute)._replace(message_id=message) for minute, message in life]
    facts = sorted({get_position(fact): fact for fact in facts}.values(), key=get_position, reverse=True)
    chosen = choose(Stretch(facts, more=False), size)
    places: dict[object, Fact] = {fact.message_id or fact: fact for fact in facts}
    entries = sorted(map(get_position, places.values()), reverse=True)
    assert len(chosen.messages) + len(chosen.lone) == min(size, len(entries))
    assert chosen.end == (entries[:size] or [None])[-1]
    assert chosen.more == (len(entries) > size)
    assert len(set(chosen.messages)) == len(chosen.messages)


def test_end_of_a_stretch_is_not_the_end() -> None:
    """Where a stretch has been cut, there are more events below it."""
    facts = [make_fact("opened", 1)._replace(message_id="a", occurred_at=START + timedelta(minutes=1))]
    assert choose(Stretch(facts, more=True), 5).more
