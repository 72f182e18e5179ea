"""How fast each provider's bodies become events, beside `json.loads` of the same bytes.

The bodies are made from the provider's payloads (tests/payloads), with addresses and ids of their own: where a provider
sends lists, lists of BATCH_SIZE events; else one body for each event. SparkPost's payloads are older than its present
form, so that its bodies are those of the other benchmarks. Forms are held against the standard library's `parse_qs`,
and `json.loads` of the JSON in a field.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from bench.figures import Figure, Target
from bench.traffic import START, batches
from common.events import Event
from local.samples import Payload, list_payloads
from providers import Delivery, Provider, list_providers

BATCH_SIZE = 100
EVENTS = 1_000  # of each row
CHUNK = 50  # events whose time is taken at once, or those of a body
ROUNDS = 9  # for each chunk the quickest counts
SLOWEST = Target(least=0.25)

Place = tuple[str | int, ...]  # names and positions that lead to a value

_ADDRESS = re.compile(r"(?<=\w)(?=(?:@|%40)example\.)")
_ID = re.compile(r"(?<=[\"=])(?=[\w-]*\d)([\w-]{12,})[\w-]{4}(?=[\"&]|$)", re.ASCII)


class Traffic(NamedTuple):
    """Bodies of one provider in one form."""

    provider: Provider
    name: str
    bodies: list[bytes]
    deliveries: list[Delivery]
    field: str | None  # of a form, with JSON in it
    is_form: bool


def measure_parsing() -> list[Figure]:
    """A row for each provider and form of its bodies."""
    import s3_loader.app  # noqa: F401 - the loader's setting of the garbage collector

    rows = []
    for name in list_providers():
        found = [generate_sparkpost()] if name == "sparkpost" else make_traffic(list_payloads(name))
        for traffic in found:
            gc.collect()
            rows.append(_measure(traffic))
    return rows


def generate_sparkpost() -> Traffic:
    """SparkPost's traffic of today."""
    bodies = list(batches(EVENTS, seed=1))
    provider = list_payloads("sparkpost")[0].provider
    delivery = Delivery(START)
    return Traffic(provider, "sparkpost, generated", bodies, [delivery for _ in bodies], None, is_form=False)


def make_traffic(payloads: Sequence[Payload]) -> Iterator[Traffic]:
    """What a provider sends, from its payloads: in each of the forms that they come in."""
    forms: dict[tuple[bool, str | None], list[tuple[Payload, Any, Place | None]]] = defaultdict(list)
    for payload in payloads:
        found = _read(payload)
        if found is not None and payload.events:
            is_form, field, value = found
            forms[is_form, field].append((payload, value, _find_list(payload, value)))
    for (is_form, field), entries in forms.items():
        lists = [entry for entry in entries if entry[2] is not None]
        bodies: list[bytes] = []
        if any(len(_follow(value, place)) > 1 for _, value, place in lists if place is not None):
            what = f"{BATCH_SIZE} a body"
            sources = [lists[0][0]]
            items = cycle([item for _, value, place in lists if place is not None for item in _follow(value, place)])
            _, whole, place = lists[0]
            for number in range(EVENTS // BATCH_SIZE):
                texts = [json.dumps(item, separators=(",", ":")) for item in islice(items, BATCH_SIZE)]
                varied = [vary(text, number * BATCH_SIZE + position) for position, text in enumerate(texts)]
                bodies.append(_wrap(_fill(whole, place or (), [json.loads(text) for text in varied]), field))
        else:
            what = "1 a body"
            sources = list(islice(cycle([entry[0] for entry in entries]), EVENTS))
            bodies = [vary(source.body.decode(), number).encode() for number, source in enumerate(sources)]
        if is_form:
            what += " (form)" if field is None else f" (form with JSON in {field})"
        deliveries = [source.delivery for source, _ in zip(cycle(sources), bodies, strict=False)]
        yield Traffic(
            payloads[0].provider, f"{payloads[0].request.provider}, {what}", bodies, deliveries, field, is_form
        )


def vary(text: str, number: int) -> str:
    """The body as that of another event: other addresses and ids, as long for each number."""
    return _ID.sub(rf"\g<1>{number:04}", _ADDRESS.sub(f"{number:04}", text))


def _read(payload: Payload) -> tuple[bool, str | None, Any] | None:
    """Whether it is a form, the field with JSON in it, and the JSON; None of what is neither form nor JSON."""
    try:
        return False, None, json.loads(payload.body)
    except ValueError:
        pass
    if not payload.delivery.content_type.startswith("application/x-www-form-urlencoded"):
        return None
    for field, values in parse_qs(payload.body.decode()).items():
        if values[0].startswith(("[", "{")):
            return True, field, json.loads(values[0])
    return True, None, None


def _find_list(payload: Payload, value: Any) -> Place | None:
    """Where the list is that the provider's items are in."""
    events = [event for event in payload.provider.parse(payload.body, payload.delivery) if isinstance(event, Event)]
    return _search(value, payload.provider.restore(events[0]), ()) if events else None


def _search(value: Any, item: Any, place: Place) -> Place | None:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if isinstance(value, list) and item in value:
        return place
    return next((found for step, entry in entries if (found := _search(entry, item, (*place, step))) is not None), None)


def _follow(value: Any, place: Place) -> Any:
    for step in place:
        value = value[step]
    return value


def _fill(value: Any, place: Place, items: list[Any]) -> Any:
    """The value with other items at this place."""
    if not place:
        return items
    step, *rest = place
    entry = _fill(value[step], tuple(rest), items)
    if isinstance(value, dict):
        return value | {step: entry}
    return [entry]  # of one user, one account


def _wrap(value: Any, field: str | None) -> bytes:
    text = json.dumps(value, separators=(",", ":"))
    return (text if field is None else urlencode({field: text})).encode()


def _measure(traffic: Traffic) -> Figure:
    pairs = list(zip(traffic.bodies, traffic.deliveries, strict=True))
    step = max(1, CHUNK * len(pairs) // EVENTS)
    our_time = their_time = 0.0
    events = 0
    # Chunks in turns: what else runs on the machine weighs on both alike.
    for start in range(0, len(pairs), step):
        chunk = pairs[start : start + step]
        events += _parse(traffic, chunk)
        times = [(_time(_parse, traffic, chunk), _time(_decode, traffic, chunk)) for _ in range(ROUNDS)]
        ours, theirs = zip(*times, strict=True)
        our_time += min(ours)
        their_time += min(theirs)
    reader = "parse_qs" if traffic.is_form else "json.loads"
    return Figure(
        name=f"parsing {traffic.name}",
        measured=f"{events / our_time:,.0f} events/s",
        compared=f"{events / their_time:,.0f} by {reader}",
        ratio=their_time / our_time,
        target=SLOWEST,
    )


def _parse(traffic: Traffic, chunk: Sequence[tuple[bytes, Delivery]]) -> int:
    parse = traffic.provider.parse
    return sum(len(list(parse(body, delivery))) for body, delivery in chunk)


def _decode(traffic: Traffic, chunk: Sequence[tuple[bytes, Delivery]]) -> None:
    for body, _ in chunk:
        if not traffic.is_form:
            json.loads(body)
            continue
        fields = parse_qs(body.decode())
        if traffic.field is not None:
            json.loads(fields[traffic.field][0])


def _time(work: Callable[..., object], *arguments: object) -> float:
    began = time.thread_time()  # of the processor: what else runs does not count
    work(*arguments)
    return time.thread_time() - began
