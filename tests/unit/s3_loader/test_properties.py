"""What conditions may ask of an activity."""

import json

import pytest

from s3_loader.properties import LARGEST, find_properties


@pytest.mark.parametrize(
    ("source", "detail", "found"),
    [
        ("moesif", {"metadata": {"plan": "pro"}, "uri": "/"}, {"plan": "pro"}),
        ("moesif", {"properties": {"plan": "pro"}}, None),
        ("segment", {"properties": {"revenue": 12.5}, "metadata": {"x": 1}}, {"revenue": 12.5}),
        ("moesif", {"metadata": {}}, None),
        ("moesif", {"metadata": [1]}, None),
        ("moesif", {"metadata": "text"}, None),
        ("moesif", {"body": {"metadata": {"x": 1}}}, None),
        ("moesif", {"metadata": {"x": "y" * LARGEST}}, None),
        ("prometheus", {"metadata": {"x": 1}}, None),
    ],
)
def test_metadata_and_properties_are_found(source: str, detail: object, found: object) -> None:
    """Each source has its own place for them; only an object of a sensible size is one."""
    text = find_properties(json.dumps(detail, separators=(",", ":")).encode(), source)
    assert (None if text is None else json.loads(text)) == found


@pytest.mark.parametrize("text", ['{"a":"\\u0000b"}', '{"a":"\\ud800"}', '{"a":1e400000}', '{"a":' + "9" * 200 + "}"])
def test_what_postgres_refuses_is_made_clean(text: str) -> None:
    """NULs, halves of characters and endless numbers become what it takes."""
    found = find_properties(b'{"metadata":' + text.encode() + b"}", "moesif")
    assert found is not None
    assert list(json.loads(found)) == ["a"]
    assert b"\\u0000" not in found
    assert b"\\ud800" not in found.lower()
    assert b":1e400000" not in found.lower()
