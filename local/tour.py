"""A tour of the providers: one message's life as each of them tells it, and what became of it in one shape.

What is posted are the samples of tests/payloads with their proofs, signed anew where a time is signed. Where only the
provider could sign, it is let in without proof, as `UnsignedProviders` allows for a trial.
"""

import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from common.events import (
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    INJECTED,
    OPENED,
    REJECTED,
    UNSUBSCRIBED,
    Event,
)
from local.samples import Payload, list_payloads
from local.signing import sign_anew
from providers import UnverifiedError, list_providers

# What a message lives through, in order: the table's columns.
LIFE = (INJECTED, DEFERRED, DELIVERED, BOUNCED, REJECTED, OPENED, CLICKED, COMPLAINED, UNSUBSCRIBED)
KEPT_MONTHS = 120  # the retention: the samples' times are those that were signed
OLDEST = timedelta(days=3600)
LATEST = timedelta(hours=12)
RUN = timedelta(minutes=4)  # longer than a demonstration takes; what is signed anew holds for five
LONGEST = 12  # characters of a word in the table

Found = Mapping[str, Any]  # JSON of the API


class Stop(NamedTuple):
    """One provider: what it posts, and what is expected of it."""

    provider: str
    payloads: list[Payload]
    events: list[Event]
    secrets: list[str]  # none where it is let in without proof


def plan_tour(now: datetime, providers: Iterable[str] = ()) -> list[Stop]:
    """A stop for each provider that has samples which are not too old (all providers, if none is named)."""
    stops = (plan_stop(provider, list_payloads(provider), now) for provider in providers or list_providers())
    return [stop for stop in stops if stop.payloads]


def plan_stop(provider: str, payloads: Sequence[Payload], now: datetime) -> Stop:
    """For each type of event the first sample of it, with the secrets, if its proofs still hold; else without."""
    secrets = list(dict.fromkeys(secret for payload in payloads for secret in payload.secrets))
    signed = [sign_anew(payload, payload.secrets or secrets, now) for payload in payloads]
    secrets = list(dict.fromkeys([*secrets, *(secret for _, live in signed for secret in live)]))
    payloads = [payload for payload, _ in signed]
    proven = [payload for payload in payloads if holds(payload, secrets, now) and holds(payload, secrets, now + RUN)]
    chosen, told = list(choose(payloads, now)), list(choose(proven, now))
    if list_types(told) == list_types(chosen):
        chosen = told
    else:
        secrets = []
    events = [event for _, found in chosen for event in found]
    return Stop(provider, [payload for payload, _ in chosen], events, secrets)


def list_types(chosen: Iterable[tuple[Payload, Sequence[Event]]]) -> set[str]:
    """The types of these events."""
    return {event.kind.event_type for _, events in chosen for event in events}


def holds(payload: Payload, secrets: Sequence[str], now: datetime) -> bool:
    """Whether the listener takes the request at that time."""
    try:
        payload.provider.verify(payload.request, secrets, now)
    except UnverifiedError:
        return False
    return True


def choose(payloads: Iterable[Payload], now: datetime) -> Iterator[tuple[Payload, list[Event]]]:
    """The first sample of each type of event, and its events. Lists of several events only tell what no other does."""
    missing = set(LIFE)
    known: set[tuple[str, datetime]] = set()
    read = [(payload, list(payload.provider.parse(payload.body, payload.delivery))) for payload in payloads]
    for payload, found in sorted(read, key=lambda entry: len(entry[1])):
        events = [event for event in found if isinstance(event, Event)]
        types = {event.kind.event_type for event in events}
        keys = {(event.event_id, event.occurred_at) for event in events}
        sane = all(now - OLDEST < event.occurred_at < now + LATEST for event in events)
        if len(events) == len(found) == len(keys) and sane and types & missing and not keys & known:
            missing -= types
            known |= keys
            yield payload, events


def build_target(payload: Payload) -> str:
    """Path and query as the provider calls them."""
    request = payload.request
    return f"{request.path}?{request.query}" if request.query else request.path


def draw_tour(found: Sequence[Found]) -> str:
    """Each provider's own word for each type of event; below, what all events of all providers have."""
    words: dict[str, dict[str, str]] = {}
    for event in found:
        words.setdefault(event["provider"], {}).setdefault(event["event_type"], event["provider_type"])
    rows: list[tuple[str, ...]] = [("", *LIFE)]
    for provider, said in sorted(words.items()):
        common = find_prefix(list(said.values()))
        rows.append((provider, *(shorten(said.get(name, "").removeprefix(common)) for name in LIFE)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", f"each of them with {', '.join(list_common(found))}"])


def find_prefix(words: Sequence[str]) -> str:
    """What all of a provider's words begin with, up to a full stop: `email.` of Resend's."""
    head, stop, _ = os.path.commonprefix(words).rpartition(".")  # noqa: RUF071 - no paths
    return head + stop


def shorten(word: str) -> str:
    """A word that fits into a column."""
    return word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"


def list_common(found: Sequence[Found]) -> list[str]:
    """The fields that every event has."""
    return sorted(set.intersection(*(set(event) for event in found))) if found else []
