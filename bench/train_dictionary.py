"""Trains the zstd dictionary of the events' details: `python -m bench.train_dictionary OUTPUT`.

It learns from generated traffic of the training vocabularies, none of which is the benchmark's, and from SparkPost's
real sample events. The same inputs give the same dictionary. Events that are stored need the dictionary they were
packed with for ever: a new one is added beside the old ones (functions/common/details.py), never in place of one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import zstandard

from bench.traffic import batches
from bench.vocabulary import BENCHMARK_VOCABULARY, TRAINING_VOCABULARIES
from common.events import Event
from providers.sparkpost import parse

SAMPLES = Path(__file__).parent.parent / "tests" / "payloads" / "sparkpost"
SEED = 7
LEVEL = 3
SIZE = 32_768
EVENTS = 12_000  # of each training vocabulary
SAMPLE_WEIGHT = 20  # each real sample counts as so many generated events, for the fields that traffic seldom has


def pack_plainly(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """The details of all events of the bodies, before compression."""
    for body in bodies:
        for event in parse(body):
            if type(event) is Event:
                yield event.detail


def read_real_samples() -> Iterator[bytes]:
    """SparkPost's sample events as bodies."""
    for path in sorted(SAMPLES.glob("*.json")):
        content = json.loads(path.read_text())
        yield json.dumps(content if type(content) is list else [content]).encode()


def train(size: int, events: int) -> bytes:
    """The dictionary."""
    details: list[bytes | bytearray | memoryview[int]] = []
    for number in TRAINING_VOCABULARIES:
        details += pack_plainly(batches(events, SEED, number))
    details += list(pack_plainly(read_real_samples())) * SAMPLE_WEIGHT
    Random(SEED).shuffle(details)  # the trainer tries its parameters on the last quarter
    return zstandard.train_dictionary(size, details, level=LEVEL, dict_id=1).as_bytes()


def build_compressor(dictionary: bytes, level: int) -> zstandard.ZstdCompressor:
    """A compressor as functions/common/details.py has it."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=False, write_dict_id=False
    )
    content = zstandard.ZstdCompressionDict(dictionary)
    content.precompute_compress(level=level)
    return zstandard.ZstdCompressor(dict_data=content, compression_params=parameters)


def main() -> None:
    """Train, try on traffic with other words, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.train_dictionary", description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", type=int, default=SIZE, help="bytes of the dictionary (%(default)s)")
    parser.add_argument("--events", type=int, default=EVENTS, help="of each training vocabulary (%(default)s)")
    options = parser.parse_args()
    dictionary = train(options.size, options.events)
    compress = build_compressor(dictionary, LEVEL).compress
    plain = list(pack_plainly(batches(20_000, 1, BENCHMARK_VOCABULARY)))
    before, after = sum(map(len, plain)) / len(plain), sum(len(compress(detail)) for detail in plain) / len(plain)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(dictionary)
    print(
        f"{options.output}: {len(dictionary):,} bytes; "
        f"details of other traffic {before:.1f} → {after:.1f} bytes an event"
    )


if __name__ == "__main__":
    main()
