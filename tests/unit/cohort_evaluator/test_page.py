"""docs/cohorts.md says what is so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.yaml_text import read_yaml
from cohort_evaluator import definitions, reading
from cohort_evaluator.conditions import ACTIVITIES, MAIL
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.reading import DefinitionError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "cohorts.md").read_text(encoding="utf-8")
FENCES = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [read_yaml(text)[0] for language, text in FENCES.findall(PAGE) if language == "yaml"]


def build_definition(block: Any) -> dict[str, Any]:
    """A whole definition of a block: one is, a list is of windows, and the others are conditions."""
    if isinstance(block, list):
        block = {"all": [{"did_first": {"event": "call"}, "window": window} for window in block]}
    return block if "members" in block else {"name": "x", "title": "x", "subject": "user", "members": block}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block)[:60])
def test_example_is_read(block: Any) -> None:
    """Each block of YAML on the page is understood."""
    read_cohort(build_definition(block))


def find_words(value: Any) -> Iterator[str]:
    """All keys and texts within a value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from find_words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from find_words(inner)
    elif isinstance(value, str):
        yield value


def test_every_condition_has_an_example() -> None:
    """Conditions, windows and operators all occur in an example."""
    used = {word for block in BLOCKS for word in find_words(block)}
    conditions = set(definitions._CONDITIONS)
    windows = {"last", "ending_ago", "days", "weeks", "months", "since", "until", "ever", "zone", "current"}
    assert conditions | windows | {"count", "distinct", "sum"} <= used


def test_every_word_is_explained() -> None:
    """Fields, operators, comparisons, types of events and units are named in the text."""
    named = {word.strip('"') for word in re.findall(r"`([^`]+)`", FENCES.sub("", PAGE))}
    fields = {*definitions.MAIL_FIELDS, *definitions.ACTIVITY_FIELDS, *definitions.TYPES}
    operators = {*definitions.TESTS, *definitions.TRAIT_TIMES, *definitions.COMPARISONS}
    assert fields | operators | {MAIL, "call", "action", "page", "screen"} <= named
    assert set(ACTIVITIES) == {"call", "action", "page", "screen"}
    assert all(unit in PAGE for unit in reading.UNITS if unit.endswith("s"))


def test_limits_are_those_of_the_reader() -> None:
    """The numbers on the page."""
    assert f"up to {definitions.MOST_CONDITIONS} of them and {reading.DEEPEST} deep" in PAGE
    assert f"{reading.LONGEST_WINDOW.days} days" in PAGE


@pytest.mark.parametrize("path", sorted((ROOT / "cohorts").glob("*.yaml")), ids=lambda path: path.stem)
def test_file_is_read(path: Path) -> None:
    """Each cohort of the project's own; without one of its parts it is refused."""
    definition = read_yaml(path.read_text(encoding="utf-8"))[0]
    assert read_cohort(definition).name == path.stem
    for key in definition:
        with pytest.raises(DefinitionError):
            read_cohort({other: value for other, value in definition.items() if other != key})
