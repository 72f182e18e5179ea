"""Reads lists of whom not to mail, entry by entry however long they are: JSON, JSON Lines and CSV.

JSON is pages as SparkPost's and our own API answer them, one or one behind the other: objects whose `results`,
`recipients` or `entries` is a list; or a list, or entries alone. CSV is as SparkPost's pages save and take it: a header
with `recipient` (or `email`), `type`, `source`, `description`, `created`, `updated`, `subaccount_id`.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

LISTS: Final = ("results", "recipients", "entries")
CHUNK: Final = 256 * 1024  # characters that are read at once
LONGEST_ENTRY: Final = 1_000_000  # characters
ADDRESSES: Final = ("recipient", "email", "address")
NOTHING: Final = frozenset({"", "null", "none"})
TRUTHS: Final[Mapping[str, bool]] = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_SPACE: Final = " \t\r\n"
_DECODER = json.JSONDecoder()


class ListFileError(Exception):
    """A file that is no list: its line, and why."""


class Found(NamedTuple):
    """An entry as it stands in a file."""

    line: int  # from 1
    value: Any


def read_file(path: Path) -> Iterator[Found]:
    """All entries of a file, in order. Raises `ListFileError`, `OSError`."""
    with path.open(encoding="utf-8-sig", errors="strict", newline="") as file:
        try:
            first = file.read(CHUNK).lstrip()[:1]
            file.seek(0)
            yield from _read_json(file) if first in ("{", "[") else _read_csv(file)
        except UnicodeDecodeError:
            raise ListFileError(f"{path.name} is not in UTF-8") from None


def _read_csv(file: IO[str]) -> Iterator[Found]:
    rows = csv.reader(file)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if not set(ADDRESSES) & set(header):
            raise ListFileError(f"line 1: a header is expected, with {' or '.join(ADDRESSES)}; or JSON")
        for row in rows:
            if any(cell.strip() for cell in row):
                named = zip(header, row, strict=False)
                given = {name: cell.strip() for name, cell in named if cell.strip().lower() not in NOTHING}
                if len(row) > len(header):
                    yield Found(rows.line_num, f"it has {len(row)} cells, and the header {len(header)}")
                else:
                    yield Found(rows.line_num, {name: _read_cell(name, cell) for name, cell in given.items()})
    except csv.Error as failure:
        raise ListFileError(f"line {rows.line_num}: {failure}") from None


def _read_cell(name: str, cell: str) -> Any:
    is_truth = name in ("transactional", "non_transactional")
    return TRUTHS.get(cell.lower(), cell) if is_truth else cell


def _read_json(file: IO[str]) -> Iterator[Found]:
    reader = _JsonReader(file)
    while reader.peek():
        yield from reader.read_entries()


class _JsonReader:
    """Takes values off a text, of which it holds no more than it needs."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._line = 1

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._line += self._text[self._at] == "\n"
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow():
                return ""

    def read_entries(self) -> Iterator[Found]:
        """The entries of the next value: a list, a page, or an entry alone."""
        if self.peek() == "[":
            yield from self._read_list()
        elif self.peek() == "{":
            yield from self._read_page()
        else:
            raise self._refuse("an object or a list is expected")

    def _read_page(self) -> Iterator[Found]:
        line, rest, is_page = self._line, {}, False
        self._take("{")
        while self.peek() != "}":
            name = self._read_value()
            if type(name) is not str:
                raise self._refuse("a name is expected")
            self.peek()
            self._take(":")
            if name in LISTS and self.peek() == "[":
                is_page = True
                yield from self._read_list()
            else:
                rest[name] = self._read_value()
            if self.peek() != "}":
                self._take(",")
        self._take("}")
        if not is_page:
            yield Found(line, rest)

    def _read_list(self) -> Iterator[Found]:
        self._take("[")
        while self.peek() != "]":
            line = self._line
            yield Found(line, self._read_value())
            if self.peek() != "]":
                self._take(",")
        self._take("]")

    def _take(self, sign: str) -> None:
        if self.peek() != sign:
            raise self._refuse(f"{sign} is expected")
        self._at += 1

    def _read_value(self) -> Any:
        """One value as a whole."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as failure:
                reason = getattr(failure, "msg", "it is nested too deeply")
                # What is not whole yet fails as what is wrong does.
                if len(self._text) - self._at > LONGEST_ENTRY or not self._grow():
                    raise self._refuse(reason) from None
                continue
            if end == len(self._text) and type(value) in (int, float) and self._grow():
                continue  # there may be more of a number
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            return value

    def _grow(self) -> bool:
        more = self._file.read(CHUNK)
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)

    def _refuse(self, reason: str) -> ListFileError:
        return ListFileError(f"line {self._line}: {reason}")
