"""Cells of CSV."""

import pytest

from query_events.csv_text import show_cell


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_formulas_are_shown_as_text(first: str) -> None:
    """What a spreadsheet takes for a formula, in some languages by full-width signs too, begins with an apostrophe."""
    assert show_cell(first + "cmd|x") == f"'{first}cmd|x"
    assert show_cell(f"x{first}") == f"x{first}"
    assert show_cell(-1) == -1
