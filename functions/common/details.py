"""The detail of an event as bytes: JSON, compressed by zstd with a dictionary of what such JSON is made of.

An event is too short to be compressed by itself: the dictionary, trained on events (bench/train_dictionary.py), brings
it to a fifth. The first byte names the dictionary; dictionaries are only ever added, because stored events need theirs.
The frames are without magic number, size and dictionary id, which would say the same of every event.
"""

from functools import cache
from pathlib import Path

import zstandard

from common.events import Json
from common.json_text import decode_json, encode_json

DICTIONARIES = Path(__file__).parent / "dictionaries"
CURRENT = 1  # the dictionary that new events are packed with
LEVEL = 3
LARGEST = 32 * 1024 * 1024  # bytes of a detail; a body is at most 6 MB, and escapes can grow it fivefold

_PREFIX = bytes((CURRENT,))


@cache
def _dictionary(version: int) -> zstandard.ZstdCompressionDict:
    return zstandard.ZstdCompressionDict((DICTIONARIES / f"{version}.zstd").read_bytes())


@cache
def _decompressor(version: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(dict_data=_dictionary(version), format=zstandard.FORMAT_ZSTD1_MAGICLESS)


@cache
def _compressor() -> zstandard.ZstdCompressor:
    dictionary = _dictionary(CURRENT)
    dictionary.precompute_compress(level=LEVEL)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_dict_id=False
    )
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters)


def pack_detail(detail: Json) -> bytes:
    """The detail as bytes."""
    return _PREFIX + _compressor().compress(encode_json(detail))


def unpack_detail(packed: bytes) -> Json:
    """The detail that was packed."""
    detail: Json = decode_json(_decompressor(packed[0]).decompress(packed[1:], max_output_size=LARGEST))
    return detail
