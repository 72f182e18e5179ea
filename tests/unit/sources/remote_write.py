"""Remote-write requests as senders make them, written by hand from the specification."""

import struct
from collections.abc import Iterable, Sequence

FIRST = "application/x-protobuf"
SECOND = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
STALE = struct.pack("<Q", 0x7FF0000000000002)

Labels = Sequence[tuple[str, str]]
Samples = Sequence[tuple[int, float | bytes]]


def make_varint(number: int) -> bytes:
    """A number as Protocol Buffers have it."""
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def make_field(number: int, content: bytes) -> bytes:
    """A field with a length."""
    return make_varint(number << 3 | 2) + make_varint(len(content)) + content


def make_sample(at: int, value: float | bytes) -> bytes:
    """A value at a time in milliseconds."""
    bits = value if isinstance(value, bytes) else struct.pack("<d", value)
    return b"\x09" + bits + b"\x10" + make_varint(at)


def make_first(series: Iterable[tuple[Labels, Samples]], extra: bytes = b"") -> bytes:
    """A message of the first version; `extra` is added to each series."""
    message = b""
    for labels, samples in series:
        fields = [make_field(1, make_field(1, name.encode()) + make_field(2, value.encode())) for name, value in labels]
        fields += [make_field(2, make_sample(at, value)) for at, value in samples]
        message += make_field(1, b"".join(fields) + extra)
    return message


def make_second(series: Iterable[tuple[Labels, Samples]], extra: bytes = b"") -> bytes:
    """The same of the second."""
    symbols, timeseries = [""], []
    for labels, samples in series:
        references = []
        for text in (text for label in labels for text in label):
            if text not in symbols:
                symbols.append(text)
            references.append(symbols.index(text))
        packed = make_field(1, b"".join(map(make_varint, references)))
        fields = [make_field(2, make_sample(at, value)) for at, value in samples]
        timeseries.append(make_field(5, packed + b"".join(fields) + extra))
    return b"".join(make_field(4, symbol.encode()) for symbol in symbols) + b"".join(timeseries)


def compress(content: bytes) -> bytes:
    """A snappy block of literals alone, with a copy where a byte is repeated."""
    out, position = bytearray(make_varint(len(content))), 0
    while position < len(content):
        run = 1
        while position + run < len(content) and run < 64 and content[position + run] == content[position]:
            run += 1
        out += bytes((0, content[position]))
        if run > 4:
            out += bytes(((run - 2) << 2 | 2, 1, 0))
            position += run
        else:
            position += 1
    return bytes(out)
