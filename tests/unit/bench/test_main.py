import argparse

import pytest

from bench.__main__ import read_events, read_parts


def test_parts_are_read_from_a_list() -> None:
    """`--only` takes names between commas, with or without blanks."""
    assert read_parts("load, size,query") == ["load", "size", "query"]


@pytest.mark.parametrize("text", ["", "load,speed"])
def test_unknown_parts_are_refused(text: str) -> None:
    """A misspelt part is an error that lists the right ones, not a part left out."""
    with pytest.raises(
        argparse.ArgumentTypeError,
        match="parts are load, size, query, filters, pages, console, metrics, export, recipients, parsing, behaviour, "
        "usage, listener, stack",
    ):
        read_parts(text)


@pytest.mark.parametrize("text", ["1000000", "1_000_000", "1,000,000"])
def test_number_of_events_may_be_grouped(text: str) -> None:
    """A million is read however its digits are grouped."""
    assert read_events(text) == 1_000_000


@pytest.mark.parametrize("text", ["many", "-5", "0", "3499"])
def test_too_few_events_are_refused(text: str) -> None:
    """Fewer events than ten full batches make no turns to compare."""
    with pytest.raises(argparse.ArgumentTypeError):
        read_events(text)
