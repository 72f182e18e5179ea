"""Prometheus's remote-write messages, versions 1 and 2: just the fields that are kept.

Source: prompb/types.proto and io/prometheus/write/v2/types.proto of Prometheus; "Encoding" of Protocol Buffers.
"""

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

from providers._fields import UNSTORABLE
from sources._snappy import read_varint


class TimeSeries(NamedTuple):
    """A series as it was sent."""

    labels: list[tuple[str, str]]
    samples: list[tuple[int, int]]  # milliseconds since 1970, the bits of the value
    histograms: int  # how many
    exemplars: int


class _Numbers(NamedTuple):
    """The numbers of a series' fields."""

    labels: int
    samples: int
    histograms: int
    exemplars: int


FIRST = _Numbers(1, 2, 4, 3)
SECOND = _Numbers(1, 2, 3, 4)
Field = tuple[int, int, int, int]  # number, wire type, then its place (begin and end), or its value and 0


def read_series(message: bytes, *, second: bool) -> Iterator[TimeSeries]:
    """The series of a message. Raises `ValueError` where it is damaged."""
    try:
        if not second:
            for number, kind, begin, end in _read_fields(message, 0, len(message)):
                if (number, kind) == (1, 2):
                    yield _read_one(message, begin, end, None)
            return
        fields = list(_read_fields(message, 0, len(message)))
        symbols = [_read_text(message, begin, end) for number, kind, begin, end in fields if (number, kind) == (4, 2)]
        if symbols and symbols[0]:
            raise ValueError("the first symbol is not empty")
        for number, kind, begin, end in fields:
            if (number, kind) == (5, 2):
                yield _read_one(message, begin, end, symbols)
    except IndexError:
        raise ValueError("the message is cut short") from None


def _read_one(message: bytes, begin: int, end: int, symbols: list[str] | None) -> TimeSeries:
    names = FIRST if symbols is None else SECOND
    labels: list[tuple[str, str]] = []
    references: list[int] = []
    samples: list[tuple[int, int]] = []
    histograms = exemplars = 0
    for number, kind, first, last in _read_fields(message, begin, end):
        if number == names.samples and kind == 2:
            samples.append(_read_sample(message, first, last))
        elif number == names.labels and symbols is None and kind == 2:
            labels.append(_read_label(message, first, last))
        elif number == names.labels and symbols is not None:
            references += _read_packed(message, first, last) if kind == 2 else [first]
        else:
            histograms += number == names.histograms
            exemplars += number == names.exemplars
    if symbols is not None:
        if len(references) % 2 or any(reference >= len(symbols) for reference in references):
            raise ValueError("a label refers to a symbol that is not there")
        labels = [
            (symbols[name], symbols[value]) for name, value in zip(references[::2], references[1::2], strict=True)
        ]
    return TimeSeries(labels, samples, histograms, exemplars)


def sort_labels(labels: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The labels as they should have come: sorted, without empty ones. Raises `ValueError` where that can't be."""
    kept = sorted((name, value) for name, value in labels if value)
    names = [name for name, _ in kept]
    if len(set(names)) < len(names):
        raise ValueError("a label is there twice")
    if "" in names:
        raise ValueError("a label has no name")
    if "__name__" not in names:
        raise ValueError("it has no label __name__")
    if any(UNSTORABLE.search(text) for label in kept for text in label):
        raise ValueError("a label has characters that can't be stored")
    return tuple(kept)


def _read_fields(message: bytes, position: int, end: int) -> Iterator[Field]:
    while position < end:
        tag, position = read_varint(message, position)
        kind = tag & 7
        if kind == 0:
            begin, position = read_varint(message, position)
            behind = 0
        else:
            if kind == 2:
                length, begin = read_varint(message, position)
            elif kind in (1, 5):
                length, begin = 8 if kind == 1 else 4, position
            else:
                raise ValueError("the message is not Protocol Buffers")
            position = behind = begin + length
        if position > end:
            raise ValueError("the message is cut short")
        yield tag >> 3, kind, begin, behind


def _read_text(message: bytes, begin: int, end: int) -> str:
    return message[begin:end].decode()


def _read_label(message: bytes, begin: int, end: int) -> tuple[str, str]:
    name = value = ""
    for number, kind, first, last in _read_fields(message, begin, end):
        if (number, kind) == (1, 2):
            name = _read_text(message, first, last)
        elif (number, kind) == (2, 2):
            value = _read_text(message, first, last)
    return name, value


def _read_sample(message: bytes, begin: int, end: int) -> tuple[int, int]:
    at = bits = 0
    for number, kind, first, _ in _read_fields(message, begin, end):
        if (number, kind) == (1, 1):
            (bits,) = unpack_from("<Q", message, first)
        elif (number, kind) == (2, 0):
            at = first - 2**64 if first >> 63 else first
    return at, bits


def _read_packed(message: bytes, position: int, end: int) -> Iterator[int]:
    while position < end:
        value, position = read_varint(message, position)
        yield value
