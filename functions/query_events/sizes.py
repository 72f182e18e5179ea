"""Entries of an answer, as many as a Lambda can give."""

from collections.abc import Sequence

from common.events import Json
from common.json_text import encode_json
from query_events.events_message import LARGEST_RESULTS


def measure(entry: Json) -> int:
    """Bytes that an entry takes in Lambda's answer, which is JSON within JSON: quotes are escaped once more."""
    text = encode_json(entry)
    return len(text) + 1 + text.count(b'"') + text.count(b"\\")


def fit(entries: Sequence[Json], room: int = LARGEST_RESULTS) -> list[Json]:
    """The first entries, as many as have room; at least one, if need be with less of its `events`."""
    kept: list[Json] = []
    for entry in entries:
        size = measure(entry)
        if size > room:
            return kept or [_cut_events(entry, room)]
        room -= size
        kept.append(entry)
    return kept


def _cut_events(entry: Json, room: int) -> Json:
    """The entry with as many of its newest events as have room."""
    if "events" not in entry:
        return entry
    kept: list[Json] = []
    room -= measure({**entry, "events": []})
    for event in reversed(entry["events"]):
        room -= measure(event)
        if room < 0:
            break
        kept.append(event)
    return {**entry, "events": kept[::-1]}
