"""What is taken out of an item, since an event's columns give it back."""

from typing import Any

import pytest

from common.events import Json
from providers import find_provider, list_providers
from providers._taking import Path, build_take

OWN = ("recipient", "message_id")
TAKEN = {
    "recipient": ("data", "to"),
    "message_id": ("id",),
    "subject": ("data", "mail", "subject"),
    "domain": ("data", "domain"),
}


def take(item: Json, recipient: Any, message_id: Any, subject: Any = None, domain: Any = None) -> list[str]:
    """What the function that is built for `TAKEN` finds absent; it changes the item."""
    return build_take(TAKEN, OWN, ("campaign", "subject"), ("domain",))(
        item, recipient, message_id, (None, subject), (domain,)
    )


def test_what_columns_say_is_taken() -> None:
    """A value that a column gives back exactly goes, wherever it is; everything else stays."""
    item = {
        "id": "7",
        "more": 1,
        "data": {"to": "a@example.com", "domain": "x", "mail": {"subject": "Hello", "size": 3}},
    }
    assert take(item, "a@example.com", "7", "Hello", "x") == []
    assert item == {"more": 1, "data": {"mail": {"size": 3}}}


def test_what_columns_say_otherwise_stays() -> None:
    """What a column was made from, and does not give back letter by letter, stays in the item."""
    item: Json = {"id": 7, "data": {"to": "A@Example.com", "mail": {"subject": ["Hello"]}}}
    assert take(item, "a@example.com", "7", "Hello") == []
    assert item == {"id": 7, "data": {"to": "A@Example.com", "mail": {"subject": ["Hello"]}}}


def test_a_value_without_a_column_stays() -> None:
    """A null or an empty text, of which no column is made, stays."""
    item = {"id": None, "data": {"to": ""}}
    assert take(item, None, None) == []
    assert item == {"id": None, "data": {"to": ""}}


@pytest.mark.parametrize("item", [{}, {"data": None}, {"data": "text"}, {"data": {"mail": ["subject"]}}])
def test_what_was_elsewhere_is_told(item: Json) -> None:
    """A column whose value came from elsewhere is named, also where there is no object that it could have been in."""
    before = dict(item)
    for _ in range(2):  # nothing is left of the one before
        assert take(item, "a@example.com", "7", "Hello") == ["recipient", "message_id", "subject"]
    assert item == before


@pytest.mark.parametrize("name", ["'", '"', "a'] = b #", "\\", "\n", "{x}", "", "é", "\ud800"])
def test_names_are_literals(name: str) -> None:
    """A field may have any name: it never becomes code."""
    path: Path = (name, name)
    item: Json = {name: {name: "7", "other": 1}}
    assert build_take({"message_id": path}, OWN, (), ())(item, None, "7", (), ()) == []
    assert item == {name: {"other": 1}}


@pytest.mark.parametrize("provider", list_providers())
def test_no_value_is_in_another(provider: str) -> None:
    """No provider takes an object out of an item, and something out of that object too: it would be told absent."""
    taken: dict[str, Path] = getattr(find_provider(provider), "TAKEN", {})
    paths = list(taken.values())
    assert [path for path in paths for other in paths if path != other and other[: len(path)] == path] == []
