from hypothesis import given
from hypothesis import strategies as st

from common.event_keys import is_numeric, make_event_key, read_event_id


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_numeric_id_is_read_back_from_its_key(number: int) -> None:
    """A number is not stored beside its key: the key gives it back, and fits into a bigint."""
    key = make_event_key("sparkpost", str(number))
    assert -(2**63) <= key < 2**63
    assert read_event_id("sparkpost", key) == str(number)


@given(st.text())
def test_any_id_makes_a_key(event_id: str) -> None:
    """Whatever a provider calls an event, its key fits into a bigint and is the same each time."""
    key = make_event_key("sparkpost", event_id)
    assert -(2**63) <= key < 2**63
    assert key == make_event_key("sparkpost", event_id)


def test_only_plain_numbers_count_as_numeric() -> None:
    """An id that would not come back letter by letter is hashed."""
    assert is_numeric("92356927693813856")
    assert is_numeric(str(2**63 - 1))
    assert not any(map(is_numeric, ["", "0", "007", "-1", str(2**63), "1e5", "٣", "a1", "1" * 20]))


def test_providers_do_not_meet() -> None:
    """The same id of two providers makes two keys."""
    for event_id in ("12", "cd6d1d4a-8a8c-4b9d-a1c3-4f1c6f0f3b11"):
        assert make_event_key("sparkpost", event_id) != make_event_key("sendgrid", event_id)


@given(st.text(), st.sampled_from(["sparkpost", "sendgrid"]))
def test_key_is_found_by_id_and_by_what_is_shown(event_id: str, provider: str) -> None:
    """A client may search by the provider's id, and by the number that stands for it in an answer."""
    key = make_event_key(provider, event_id)
    assert make_event_key(provider, read_event_id(provider, key)) == key
