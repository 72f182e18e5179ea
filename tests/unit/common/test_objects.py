from hypothesis import given
from hypothesis import strategies as st

from common.objects import cut_metadata, encode_metadata


@given(st.text(), st.integers(0, 50))
def test_metadata_is_cut_as_it_travels(value: str, longest: int) -> None:
    """What is kept of a value is its beginning, within so many bytes; half a pair of surrogates is cut too."""
    kept = cut_metadata(value, longest)
    assert value.startswith(kept)
    assert len(encode_metadata(kept)) <= longest
    assert kept == value or len(encode_metadata(value[: len(kept) + 1])) > longest
    assert cut_metadata("\ud800" * 9, 7) == "\ud800" * 2
