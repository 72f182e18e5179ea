from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.details import DICTIONARIES, pack_detail, pack_details, unpack_detail
from common.json_text import decode_json, encode_json

PACKED = "010000950000387b36323337227d02fc3da2845388823201"  # with the first dictionary

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=6), st.sampled_from(["sparkpost", "sendgrid"]))
def test_any_detail_comes_back(detail: dict[str, Any], provider: str) -> None:
    """Whatever JSON can say comes back as it was."""
    assert decode_json(unpack_detail(pack_detail(encode_json(detail), provider))) == detail


@pytest.mark.parametrize("detail", [{}, {"a": "\ud800"}, {"a": 2**80}, {"a": "\0"}, {"a": "x" * 3_000_000}])
def test_extreme_details_come_back(detail: dict[str, Any]) -> None:
    """Nothing, halves of surrogate pairs, large numbers and megabytes come back."""
    assert decode_json(unpack_detail(pack_detail(encode_json(detail), "sparkpost"))) == detail


def test_dictionary_makes_details_small() -> None:
    """What SparkPost's events are made of takes a third of its JSON; the first byte names the dictionary."""
    detail = {
        "rcpt_type": "to",
        "msg_size": "6237",
        "recv_method": "rest",
        "injection_time": "2026-11-07T19:31:09.000Z",
    }
    packed = pack_detail(encode_json(detail), "sparkpost")
    assert packed[0] == 1
    assert len(packed) < 40
    assert (DICTIONARIES / "1.zstd").stat().st_size == 32_768


def test_other_providers_have_a_dictionary() -> None:
    """What SendGrid's events are made of takes a third too, with the dictionary of all but SparkPost."""
    detail = {"event": "delivered", "sg_event_id": "ZGVsaXZlcmVkLTAtMTIzNDU2", "response": "250 OK", "tls": 1}
    packed = pack_detail(encode_json(detail), "sendgrid")
    assert packed[0] == 2
    assert len(packed) < 50
    assert unpack_detail(packed) == encode_json(detail)
    assert pack_detail(encode_json(detail), "a new one")[0] == 2


def test_events_packed_before_are_read() -> None:
    """Each dictionary stays: what was packed with it, of whichever provider, comes back."""
    assert unpack_detail(bytes.fromhex(PACKED)) == b'{"rcpt_type":"to","msg_size":"6237"}'


def test_many_details_are_packed_as_one_is() -> None:
    """Details that are compressed together are each unpacked alone."""
    details = [b"{}", b'{"a":' + b"1" * 5000 + b"}", b'{"request":{"uri":"/v1/x"}}' * 3]
    packed = list(pack_details(details, "moesif"))
    assert packed == [pack_detail(detail, "moesif") for detail in details]
    assert [unpack_detail(one) for one in packed] == details
