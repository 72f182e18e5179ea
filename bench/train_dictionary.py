"""Trains a zstd dictionary of the events' details: `python -m bench.train_dictionary [--others | --behaviour] OUTPUT`.

SparkPost's learns from generated traffic of the training vocabularies, none of which is the benchmark's, and from
SparkPost's real sample events; that of all other providers from their samples, with other addresses and ids; that of
behaviour from generated API calls. The same inputs give the same dictionary. Events that are stored need the dictionary
they were packed with for ever: a new one is added beside the old ones (functions/common/details.py), never in place of
one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

import zstandard

from bench.calls import write_calls
from bench.parsing import vary
from bench.stored import RECEIVED_AT
from bench.traffic import batches
from bench.vocabulary import BENCHMARK_VOCABULARY, TRAINING_VOCABULARIES
from common.activities import Activity
from common.details import DICTIONARIES
from common.events import Event
from local.samples import FOLDER, Payload, list_payloads
from providers import Delivery
from providers.sparkpost import parse
from sources import moesif

SAMPLES = FOLDER / "sparkpost" / "webhook-samples.json"
SEED = 7
LEVEL = 3
SIZE = 32_768
EVENTS = 12_000  # of each training vocabulary
VARIATIONS = 40  # of each sample of other providers
SAMPLE_WEIGHT = 20  # each real sample counts as so many generated events, for the fields that traffic seldom has


def pack_plainly(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """The details of all events of the bodies, before compression."""
    for body in bodies:
        for event in parse(body):
            if type(event) is Event:
                yield event.detail


def read_real_samples() -> Iterator[bytes]:
    """SparkPost's sample events as bodies."""
    yield SAMPLES.read_bytes()


def list_others(payloads: Sequence[Payload], variations: int, first: int = 0) -> list[bytes]:
    """The details of samples, each with several addresses and ids."""
    details = []
    for payload in payloads:
        for number in range(first, first + variations):
            body = vary(payload.body.decode("latin-1"), number).encode("latin-1")
            events = payload.provider.parse(body, payload.delivery)
            details += [event.detail for event in events if isinstance(event, Event)]
    return details


def train_others(size: int, payloads: Sequence[Payload]) -> bytes:
    """The dictionary of all providers but SparkPost."""
    details: list[bytes | bytearray | memoryview[int]] = [*list_others(payloads, VARIATIONS)]
    Random(SEED).shuffle(details)
    return zstandard.train_dictionary(size, details, level=LEVEL, dict_id=2).as_bytes()


def measure_others(size: int, payloads: Sequence[Payload]) -> tuple[float, float, float]:
    """Bytes of a detail: plain, packed as SparkPost's, and packed with what the other half of the samples teaches."""
    details = list_others(payloads[1::2], 1, VARIATIONS)
    known = (DICTIONARIES / "1.zstd").read_bytes()
    compressors = [build_compressor(content, LEVEL).compress for content in (known, train_others(size, payloads[::2]))]
    as_sparkpost, as_others = (sum(len(compress(detail)) for detail in details) for compress in compressors)
    return sum(map(len, details)) / len(details), as_sparkpost / len(details), as_others / len(details)


def train(size: int, events: int) -> bytes:
    """The dictionary of SparkPost's."""
    details: list[bytes | bytearray | memoryview[int]] = []
    for number in TRAINING_VOCABULARIES:
        details += pack_plainly(batches(events, SEED, number))
    details += list(pack_plainly(read_real_samples())) * SAMPLE_WEIGHT
    Random(SEED).shuffle(details)  # the trainer tries its parameters on the last quarter
    return zstandard.train_dictionary(size, details, level=LEVEL, dict_id=1).as_bytes()


def list_calls(number: int, calls: int) -> list[bytes]:
    """The details of generated API calls."""
    delivery = Delivery(RECEIVED_AT, query="events")
    bodies = write_calls(number, calls, 500)
    return [item.detail for body in bodies for item in moesif.parse(body, delivery) if isinstance(item, Activity)]


def train_behaviour(size: int) -> bytes:
    """The dictionary of API calls and actions, from the calls of other APIs."""
    details: list[bytes | bytearray | memoryview[int]] = []
    for number in TRAINING_VOCABULARIES:
        details += list_calls(number, 4_000)
    Random(SEED).shuffle(details)
    return zstandard.train_dictionary(size, details, level=LEVEL, dict_id=3).as_bytes()


def measure_behaviour(dictionary: bytes) -> tuple[float, float]:
    """Bytes of a detail, plain and packed, of the API that benchmarks measure."""
    details = list_calls(BENCHMARK_VOCABULARY, 10_000)
    compress = build_compressor(dictionary, LEVEL).compress
    return sum(map(len, details)) / len(details), sum(len(compress(detail)) for detail in details) / len(details)


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
    parser.add_argument("--behaviour", action="store_true", help="train that of API calls and actions")
    parser.add_argument("--others", action="store_true", help="train that of all providers but SparkPost")
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    if options.behaviour:
        options.output.write_bytes(train_behaviour(options.size))
        before, after = measure_behaviour(options.output.read_bytes())
        print(
            f"{options.output}: {options.size:,} bytes; details of other calls {before:.1f} → {after:.1f} bytes a call"
        )
        return
    if options.others:
        payloads = [payload for payload in list_payloads() if payload.request.provider != "sparkpost"]
        options.output.write_bytes(train_others(options.size, payloads))
        sizes = "{:.1f} bytes an event, {:.1f} as SparkPost's, {:.1f}".format(*measure_others(options.size, payloads))
        print(f"{options.output}: {options.size:,} bytes; details of samples not learned from {sizes}")
        return
    dictionary = train(options.size, options.events)
    compress = build_compressor(dictionary, LEVEL).compress
    plain = list(pack_plainly(batches(20_000, 1, BENCHMARK_VOCABULARY)))
    before, after = sum(map(len, plain)) / len(plain), sum(len(compress(detail)) for detail in plain) / len(plain)
    options.output.write_bytes(dictionary)
    print(
        f"{options.output}: {len(dictionary):,} bytes; "
        f"details of other traffic {before:.1f} → {after:.1f} bytes an event"
    )


if __name__ == "__main__":
    main()
