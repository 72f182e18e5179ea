"""CSV as RFC 4180 has it, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from common.events import Json
from common.json_text import encode_json

CSV: Final = "text/csv; charset=utf-8"
# A spreadsheet takes a cell that begins so for a formula, some take full-width signs, too, and would run what somebody
# else wrote into it.
FORMULAS: Final = (*"=+-@", *"\uff1d\uff0b\uff0d\uff20", "\t", "\r", "\n")


def wants_csv(asked: str, headers: Mapping[str, str]) -> bool:
    """Whether `format`, or else the header Accept, asks for CSV rather than JSON."""
    if asked.strip():
        return asked.strip() == "csv"
    accepted = headers.get("accept", "").lower()
    return "text/csv" in accepted and "application/json" not in accepted


def show_cell(value: object) -> object:
    """A value as a cell shows it: texts that look like formulas behind an apostrophe, what is nested as JSON."""
    if type(value) is str:
        return "'" + value if value.startswith(FORMULAS) else value
    if type(value) is bool:
        return "true" if value else "false"
    return encode_json(value).decode() if isinstance(value, dict | list) else value


def write_csv(columns: Sequence[str], rows: Iterable[Json], *, heading: bool = True) -> bytes:
    """The rows' values of these columns, each line ended by CRLF; null is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if heading:
        writer.writerow(columns)
    writer.writerows([show_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode("utf-8", "replace")
