import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_loader.traits import DEEPEST, Writes, build_traits, merge_writes

START = datetime(2026, 11, 1, tzinfo=UTC)
names = st.sampled_from(["a", "b", "c", ""])
values = st.recursive(
    st.sampled_from([None, True, 0, 1, 1.5, "x", "y"]) | st.just([]) | st.just([1]),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
traits = st.dictionaries(names, values, max_size=3)


def merge(*writes: tuple[int, dict[str, Any]]) -> dict[str, Any]:
    """What shows after writes, each with its second; what is kept goes through JSON between them, as in Postgres."""
    kept: Writes = {}
    for second, said in writes:
        merge_writes(kept, said, START + timedelta(seconds=second))
        kept = json.loads(json.dumps(kept))
    return build_traits(kept)


def apply(known: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """What a recursive merge makes of known traits, one write after the other."""
    merged = dict(known)
    for name, value in said.items():
        before = merged.get(name)
        if isinstance(value, dict) and value:
            merged[name] = apply(before if isinstance(before, dict) else {}, value)
        else:
            merged[name] = value
    return merged


@pytest.mark.parametrize(
    ("writes", "expected"),
    [
        ([(1, {"a": 1}), (2, {"b": 2})], {"a": 1, "b": 2}),
        ([(2, {"a": 2}), (1, {"a": 1})], {"a": 2}),
        ([(1, {"a": {"x": 1, "y": 1}}), (2, {"a": {"y": 2}})], {"a": {"x": 1, "y": 2}}),
        ([(1, {"a": {"x": 1}}), (2, {"a": 5})], {"a": 5}),
        ([(1, {"a": 5}), (2, {"a": {"x": 1}})], {"a": {"x": 1}}),
        ([(1, {"a": {"x": 1}}), (3, {"a": {"y": 3}}), (2, {"a": 5})], {"a": {"y": 3}}),
        ([(1, {"a": 1}), (2, {"a": None})], {"a": None}),
    ],
)
def test_newest_write_of_each_path_counts(writes: list[tuple[int, dict[str, Any]]], expected: dict[str, Any]) -> None:
    """Objects merge, all else is replaced; a value takes the place of what was beneath it, and the other way round."""
    assert merge(*writes) == expected


@given(st.lists(traits, max_size=6))
def test_in_order_it_is_a_recursive_merge(said: list[dict[str, Any]]) -> None:
    """Writes that come in the order of their times do what each said; an object without fields is nothing to merge."""
    expected: dict[str, Any] = {}
    for one in said:
        expected = apply(expected, one)
    assert merge(*enumerate(said)) == expected


@given(st.lists(st.tuples(st.integers(0, 3), traits), max_size=6), st.data())
def test_order_of_arrival_does_not_matter(said: list[tuple[int, dict[str, Any]]], data: st.DataObject) -> None:
    """The same writes in any order, also of the same time, and any number of times, end alike."""
    order = data.draw(st.permutations(said))
    again = data.draw(st.lists(st.sampled_from(said), max_size=3)) if said else []
    assert merge(*order, *again) == merge(*said)


def test_depth_is_bounded() -> None:
    """What is nested too deeply is one value."""
    deep: dict[str, Any] = {"x": 1}
    for _ in range(DEEPEST * 2):
        deep = {"x": deep}
    assert merge((1, deep)) == deep
