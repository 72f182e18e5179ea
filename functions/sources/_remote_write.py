"""Prometheus's remote-write messages, versions 1 and 2: just the fields that are kept.

Source: prompb/types.proto and io/prometheus/write/v2/types.proto of Prometheus; "Encoding" of Protocol Buffers.
The listener reads whole messages to tell how much is written: so loops are written out, and fields counted; the most
that are read take half a second.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from sources._snappy import read_varint

MOST_FIELDS: Final = 500_000  # of a message; Prometheus sends some 20,000


class TimeSeries(NamedTuple):
    """A series as it was sent."""

    labels: list[tuple[str, str]]
    samples: list[tuple[int, int]]  # milliseconds since 1970, the bits of the value
    histograms: int  # how many
    exemplars: int


class _Tags(NamedTuple):
    """How the fields of a series begin: number and wire type."""

    labels: int
    samples: int
    histograms: int
    exemplars: int


FIRST: Final = _Tags(1 << 3 | 2, 2 << 3 | 2, 4 << 3 | 2, 3 << 3 | 2)
SECOND: Final = _Tags(1 << 3 | 2, 2 << 3 | 2, 3 << 3 | 2, 4 << 3 | 2)
_SERIES: Final = 1 << 3 | 2
_SYMBOLS: Final = 4 << 3 | 2
_SERIES_OF_SECOND: Final = 5 << 3 | 2
_REFERENCE: Final = 1 << 3
_NAME: Final = 1 << 3 | 2
_VALUE: Final = 2 << 3 | 2
_DOUBLE: Final = 1 << 3 | 1
_TIME: Final = 2 << 3

Field = tuple[int, int, int]  # tag, then its place (begin and end), or its value and 0
_unpack_bits = Struct("<Q").unpack_from


class _Reader:
    """Reads one message."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._left = MOST_FIELDS
        self._symbols: list[str] | None = None

    def read_first(self) -> Iterator[TimeSeries]:
        for tag, begin, end in self._list_fields(0, len(self._message)):
            if tag == _SERIES:
                yield self._read_series(begin, end, FIRST)

    def read_second(self) -> Iterator[TimeSeries]:
        fields = self._list_fields(0, len(self._message))
        self._symbols = [self._message[begin:end].decode() for tag, begin, end in fields if tag == _SYMBOLS]
        if self._symbols and self._symbols[0]:
            raise ValueError("the first symbol is not empty")
        for tag, begin, end in fields:
            if tag == _SERIES_OF_SECOND:
                yield self._read_series(begin, end, SECOND)

    def _list_fields(self, position: int, end: int) -> list[Field]:
        message, left = self._message, self._left
        fields: list[Field] = []
        while position < end:
            tag = message[position]
            position += 1
            if tag > 0x7F:
                tag, position = read_varint(message, position - 1)
            kind = tag & 7
            if kind == 2:
                length = message[position]
                position += 1
                if length > 0x7F:
                    length, position = read_varint(message, position - 1)
                begin = position
                position = behind = begin + length
            elif kind == 0:
                begin, position = read_varint(message, position)
                behind = 0
            elif kind in (1, 5):
                begin = position
                position = behind = begin + (8 if kind == 1 else 4)
            else:
                raise ValueError("the message is not Protocol Buffers")
            fields.append((tag, begin, behind))
            if len(fields) > left:
                raise ValueError(f"the message has more than {MOST_FIELDS} fields")
        if position > end:
            raise ValueError("the message is cut short")
        self._left = left - len(fields)
        return fields

    def _read_series(self, begin: int, end: int, tags: _Tags) -> TimeSeries:
        labels: list[tuple[str, str]] = []
        references: list[int] = []
        samples: list[tuple[int, int]] = []
        histograms = exemplars = 0
        for tag, first, last in self._list_fields(begin, end):
            if tag == tags.samples:
                samples.append(self._read_sample(first, last))
            elif tag == tags.labels:
                if self._symbols is None:
                    labels.append(self._read_label(first, last))
                else:
                    references += self._list_packed(first, last)
            elif tag == _REFERENCE and self._symbols is not None:
                references.append(first)
            else:
                histograms += tag == tags.histograms
                exemplars += tag == tags.exemplars
        return TimeSeries(labels or self._find_labels(references), samples, histograms, exemplars)

    def _read_label(self, begin: int, end: int) -> tuple[str, str]:
        message = self._message
        # Nearly all are a short name and a short value.
        middle = begin + 2 + message[begin + 1] if end - begin > 3 else end
        if (
            middle + 2 <= end < middle + 0x82
            and message[begin] == _NAME
            and message[begin + 1] < 0x80
            and message[middle] == _VALUE
            and middle + 2 + message[middle + 1] == end
        ):
            self._left -= 2
            return message[begin + 2 : middle].decode(), message[middle + 2 : end].decode()
        name = value = ""
        for tag, first, last in self._list_fields(begin, end):
            if tag == _NAME:
                name = message[first:last].decode()
            elif tag == _VALUE:
                value = message[first:last].decode()
        return name, value

    def _read_sample(self, begin: int, end: int) -> tuple[int, int]:
        at = bits = 0
        for tag, first, _ in self._list_fields(begin, end):
            if tag == _DOUBLE:
                (bits,) = _unpack_bits(self._message, first)
            elif tag == _TIME:
                at = first - 2**64 if first >> 63 else first
        return at, bits

    def _list_packed(self, position: int, end: int) -> list[int]:
        message = self._message
        values = list(message[position:end])
        if max(values, default=0) > 0x7F:
            values.clear()
            while position < end:
                value, position = read_varint(message, position)
                values.append(value)
        self._left -= len(values)
        if self._left < 0:
            raise ValueError(f"the message has more than {MOST_FIELDS} fields")
        return values

    def _find_labels(self, references: list[int]) -> list[tuple[str, str]]:
        symbols = self._symbols or []
        if len(references) % 2 or any(reference >= len(symbols) for reference in references):
            raise ValueError("a label refers to a symbol that is not there")
        return [(symbols[name], symbols[value]) for name, value in zip(references[::2], references[1::2], strict=True)]


def read_series(message: bytes, *, second: bool) -> Iterator[TimeSeries]:
    """The series of a message. Raises `ValueError` where it is damaged, or has too many fields."""
    reader = _Reader(message)
    try:
        yield from reader.read_second() if second else reader.read_first()
    except IndexError:
        raise ValueError("the message is cut short") from None


def sort_labels(labels: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The labels as they should have come: sorted, without empty ones. Raises `ValueError` where that can't be."""
    kept = tuple(sorted([label for label in labels if label[1]]))
    names = {name for name, _ in kept}
    if len(names) < len(kept):
        raise ValueError("a label is there twice")
    if "" in names:
        raise ValueError("a label has no name")
    if "__name__" not in names:
        raise ValueError("it has no label __name__")
    if any(
        "\0" in name or "\0" in value for name, value in kept
    ):  # of what UTF-8 can say, all that Postgres can't hold
        raise ValueError("a label has characters that can't be stored")
    return kept
