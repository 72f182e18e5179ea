"""Snappy's block format, decompressed.

Source: format_description.txt of Snappy. A library would be a compiled layer of its own for the listener; a request of
Prometheus's (2,000 samples) takes some 10 ms, the most that is read half a second.
"""

from typing import Final

MOST_ELEMENTS: Final = 1_000_000  # of a block: literals and copies; Prometheus's has some 20,000


def decompress(data: bytes, most: int) -> bytes:
    """The content, of so many bytes at most. Raises `ValueError` where it is more, damaged, or in too many pieces."""
    try:
        return _decompress(data, most)
    except IndexError:
        raise ValueError("the snappy block is cut short") from None


def _decompress(data: bytes, most: int) -> bytes:
    size, position = read_varint(data, 0)
    if size > most:
        raise ValueError(f"the snappy block is of more than {most} bytes")
    out, end = bytearray(), len(data)
    for _ in range(MOST_ELEMENTS):
        if position >= end:
            break
        tag = data[position]
        position += 1
        kind = tag & 3
        if kind == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[position : position + extra], "little")
                position += extra
            length += 1
            out += data[position : position + length]
            position += length
            if position > end:
                raise ValueError("the snappy block is cut short")
            continue
        if kind == 1:
            length, offset = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[position]
            position += 1
        else:
            width = 2 if kind == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(data[position : position + width], "little")
            position += width
        start = len(out) - offset
        if offset == 0 or start < 0 or len(out) + length > size:
            raise ValueError("the snappy block is damaged")
        if offset >= length:
            out += out[start : start + length]
        else:  # what is copied grows while it is copied
            out += (out[start:] * (length // offset + 1))[:length]
    else:
        raise ValueError(f"the snappy block is in more than {MOST_ELEMENTS} pieces")
    if len(out) != size:
        raise ValueError("the snappy block is damaged")
    return bytes(out)


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 64 bits at most and the place behind it. Raises `IndexError` at the end, `ValueError` if too long."""
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
