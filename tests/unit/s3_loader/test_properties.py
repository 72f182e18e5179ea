"""What conditions may ask of an activity."""

import json
from typing import Any

import pytest

from common.activities import Activity
from s3_loader.properties import LARGEST, clean_properties
from tests.unit.sources.samples import ACTION, CALL, TRACK, parse


@pytest.mark.parametrize(
    ("source", "collection", "item", "name"),
    [
        ("moesif", "events", CALL, "metadata"),
        ("moesif", "actions", ACTION, "metadata"),
        ("segment", "track", TRACK, "properties"),
    ],
)
@pytest.mark.parametrize(
    "value", [{"plan": "pro"}, {"a": {"b": [1, None]}}, {}, [1], "text", None, 7, {"x": "\u00e9\u0000\ud800"}]
)
@pytest.mark.parametrize("usual", [True, False])
def test_metadata_and_properties_are_found(
    source: str, collection: str, item: dict[str, Any], name: str, value: object, *, usual: bool
) -> None:
    """Each source has its own place for them, by either way of reading; only an object with something in it is one."""
    other = {"metadata": {"x": 1}, "properties": {"x": 1}}
    changed = {**(item if usual else {**item, **other}), name: value}
    body = json.dumps([changed] if source == "moesif" else changed).encode()
    (activity,) = [one for one in parse(source, collection, body) if isinstance(one, Activity)]
    found = None if activity.properties is None else json.loads(activity.properties)
    assert found == (value if isinstance(value, dict) and value else None)


@pytest.mark.parametrize("text", ['{"a":"\\u0000b"}', '{"a":"\\ud800"}', '{"a":1e400000}', '{"a":' + "9" * 200 + "}"])
def test_what_postgres_refuses_is_made_clean(text: str) -> None:
    """NULs, halves of characters and endless numbers become what it takes."""
    found = clean_properties(text.encode())
    assert found is not None
    assert list(json.loads(found)) == ["a"]
    assert b"\\u0000" not in found
    assert b"\\ud800" not in found.lower()
    assert b":1e400000" not in found.lower()


def test_large_ones_stay_in_the_detail() -> None:
    """What is large is no column."""
    assert clean_properties(b'{"a":1}') == b'{"a":1}'
    assert clean_properties(b'{"x":"' + b"y" * LARGEST + b'"}') is None
