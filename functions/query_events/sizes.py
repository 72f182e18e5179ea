"""Entries of an answer, as many as a Lambda can give."""

from collections.abc import Sequence

from common.events import Json
from common.json_text import encode_json
from query_events.descriptions import FIELDS, OURS

LARGEST_RESULTS = 5_500_000  # bytes within a Lambda's answer, of which there may be 6 MB
LONGEST_TEXT = 10_000  # characters, and bytes of other JSON, of a value in an event that has to be shortened


def measure(entry: object) -> int:
    """Bytes that an entry takes in Lambda's answer."""
    return measure_text(encode_json(entry))


def measure_text(text: bytes) -> int:
    """The same of its JSON, which is JSON within JSON there: quotes and backslashes are escaped once more."""
    return len(text) + 1 + text.count(b'"') + text.count(b"\\")


def fit(entries: Sequence[Json], room: int = LARGEST_RESULTS) -> list[Json]:
    """The first entries, as many as have room; at least one, if need be with less of it."""
    kept: list[Json] = []
    for entry in entries:
        size = measure(entry)
        if size > room:
            return kept or [_reduce(entry, room)]
        room -= size
        kept.append(entry)
    return kept


def _reduce(entry: Json, room: int) -> Json:
    """A message with fewer events, an event with less in it; anything else as it is."""
    if "events" in entry:
        return _cut_events(entry, room)
    return shorten_event(entry) if "event_key" in entry else entry


def _cut_events(entry: Json, room: int) -> Json:
    """The entry with as many of its newest events as have room; the newest is shortened rather than left out."""
    kept: list[Json] = []
    room -= measure({**entry, "events": []})
    for event in reversed(entry["events"]):
        size = measure(event)
        if size > room and not kept:
            event = shorten_event(event)  # noqa: PLW2901
            size = measure(event)
        room -= size
        if room < 0:
            break
        kept.append(event)
    return {**entry, "events": kept[::-1]}


def shorten_event(event: Json) -> Json:
    """An event that is too large for an answer: the fields that we know, as far as they are not large themselves."""
    known = {name: value for name, value in event.items() if name in FIELDS or name in OURS}
    return shorten(known) | {"shortened": True}


def shorten(values: Json) -> Json:
    """Texts cut; null for other values that are large."""
    return {name: _shorten_value(value) for name, value in values.items()}


def _shorten_value(value: object) -> object:
    if type(value) is str:
        return value[:LONGEST_TEXT]
    return value if len(encode_json(value)) <= LONGEST_TEXT else None
