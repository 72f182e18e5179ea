"""The detail of an event in Postgres: JSON, compressed by zstd with a dictionary of what such JSON is made of.

An event is too short to be compressed by itself: the dictionary, trained on events (bench/train_dictionary.py), brings
it to a fifth. SparkPost's events have one, those of all other providers another, behaviour a third. The first byte
names the dictionary; dictionaries are only ever added, because stored events need theirs.
The frames are without magic number, size and dictionary id, which would say the same of every event.
"""

import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import zstandard

DICTIONARIES = Path(__file__).parent / "dictionaries"
CURRENT = {"sparkpost": 1, "moesif": 3, "segment": 3}  # provider → the dictionary that new events are packed with
CURRENT_OF_OTHERS = 2
LEVEL = 3
USUAL = 8 * 1024  # bytes of nearly every detail; room is made for all that may come out, so it must not be too much
LARGEST = 256 * 1024 * 1024  # bytes of any detail: more than a whole body can become


@cache
def _dictionary(version: int) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict((DICTIONARIES / f"{version}.zstd").read_bytes())


@cache
def _decompressor(version: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(version), format=zstandard.FORMAT_ZSTD1_MAGICLESS)


@cache
def _compression_dictionary(version: int) -> zstandard.ZstdCompressionDict:
    dictionary = _dictionary(version)
    dictionary.precompute_compress(level=LEVEL)
    return dictionary


class _Thread(threading.local):
    """A compressor serves one thread."""

    def __init__(self) -> None:
        self.packers: dict[str, tuple[bytes, zstandard.ZstdCompressor]] = {}  # provider → first byte, compressor

    def add(self, provider: str) -> tuple[bytes, zstandard.ZstdCompressor]:
        version = find_dictionary(provider)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_dict_id=False
        )
        dictionary = _compression_dictionary(version)
        compressor = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)
        packer = self.packers[provider] = bytes((version,)), compressor
        return packer


@cache
def _thread() -> _Thread:
    return _Thread()


def pack_detail(detail: bytes, provider: str) -> bytes:
    """The JSON of a detail of one of the provider's events, compressed."""
    thread = _thread()
    prefix, compressor = thread.packers.get(provider) or thread.add(provider)
    return prefix + compressor.compress(detail)


def pack_details(details: Sequence[bytes], provider: str) -> Iterator[bytes]:
    """The same of many details, of which none is empty, in two thirds of the time."""
    thread = _thread()
    prefix, compressor = thread.packers.get(provider) or thread.add(provider)
    segments = cast("Iterable[zstandard.BufferSegment]", compressor.multi_compress_to_buffer(list(details)))
    return (prefix + segment.tobytes() for segment in segments)


def pack_segments(details: bytes, segments: bytes, provider: str) -> tuple[bytes, array[int]]:
    """The same of details that lie together, as frames that lie together, and the size of each.

    `segments` holds where each detail begins and its size, as native 64-bit numbers; none is empty. The byte that names
    the dictionary (`find_dictionary`) is left to the caller to set before each frame.
    """
    thread = _thread()
    _, compressor = thread.packers.get(provider) or thread.add(provider)
    frames = cast(
        "Iterable[zstandard.BufferSegment]",
        compressor.multi_compress_to_buffer(zstandard.BufferWithSegments(details, segments)),
    )
    return b"".join(cast("Iterable[bytes]", frames)), array("I", map(len, cast("Iterable[bytes]", frames)))


def find_dictionary(provider: str) -> int:
    """The dictionary that new events of a provider are packed with."""
    return CURRENT.get(provider, CURRENT_OF_OTHERS)


def unpack_detail(packed: bytes) -> bytes:
    """The JSON that was packed."""
    decompress = _decompressor(packed[0]).decompress
    try:
        return decompress(packed[1:], max_output_size=USUAL)
    except zstandard.ZstdError:
        return decompress(packed[1:], max_output_size=LARGEST)
