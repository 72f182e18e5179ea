"""The part of docs/providers.md that the code knows: `python -m local.guide` writes it anew.

How a provider proves who it is is read from what its `verify` calls; its words from what its samples become.
"""

import sys
from collections.abc import Iterator
from datetime import timedelta
from types import FunctionType
from typing import Any

from common.events import (
    AUTORESPONDED,
    BOUNCED,
    CLICKED,
    COMPLAINED,
    DEFERRED,
    DELIVERED,
    FAILED,
    INJECTED,
    OPENED,
    REJECTED,
    SUBSCRIBED,
    UNKNOWN,
    UNSUBSCRIBED,
    Event,
)
from local.samples import list_payloads
from local.state import PROJECT
from providers import Provider, find_provider, list_providers
from providers._verification import WINDOW

GUIDE = PROJECT / "docs" / "providers.md"
BEGIN = "<!-- From here on written by `make docs`. -->"
END = "<!-- As far as here. -->"
TYPES = (
    *(INJECTED, DEFERRED, DELIVERED, BOUNCED, REJECTED, FAILED, OPENED, CLICKED, COMPLAINED),
    *(UNSUBSCRIBED, SUBSCRIBED, AUTORESPONDED, UNKNOWN),
)
# What `verify` calls, itself or in between → what proves the sender.
PROOFS = {
    "check_rsa": "RSA",
    "check_ecdsa": "ECDSA",
    "check_ed25519": "Ed25519",
    "check_hmac": "HMAC",
    "digest": "HMAC",
    "md5": "MD5 with the key",
    "check_shared_secret": "shared secret",
}
TIMED = "check_recent"


def find_names(function: Any, seen: set[str]) -> set[str]:
    """The names that a provider's function uses, and those that what it calls of the providers' modules uses."""
    function = getattr(function, "__func__", function)  # of a method
    if not isinstance(function, FunctionType) or not function.__module__.startswith("providers"):
        return set()
    names = set(function.__code__.co_names)
    for name in names - seen:
        seen.add(name)
        names = names | find_names(function.__globals__.get(name), seen)
    return names


def describe_proof(provider: Provider) -> tuple[str, str]:
    """What proves the sender, and how old a signed time may be."""
    names = find_names(provider.verify, set())
    proofs = dict.fromkeys(proof for name, proof in PROOFS.items() if name in names)
    window: timedelta = getattr(sys.modules[provider.verify.__module__], "WINDOW", WINDOW)
    return ", ".join(proofs), show_window(window) if TIMED in names else ""


def show_window(window: timedelta) -> str:
    """Minutes, or hours if there are many."""
    minutes = int(window.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 60 * 48 else f"{window.days} days"


def list_words(name: str) -> dict[str, list[str]]:
    """Our types → the provider's words for them, as far as there are samples."""
    words: dict[str, set[str]] = {}
    for payload in list_payloads(name):
        for event in payload.provider.parse(payload.body, payload.delivery):
            if isinstance(event, Event):
                words.setdefault(event.kind.event_type, set()).add(event.kind.provider_type)
    return {known: sorted(words[known]) for known in TYPES if known in words}


def build_guide() -> str:
    """The tables."""
    return "\n".join([*_draw_proofs(), "", *_draw_words()])


def _list_all() -> Iterator[tuple[str, Provider]]:
    for name in list_providers():
        provider = find_provider(name)
        assert provider is not None
        yield name, provider


def _draw_proofs() -> Iterator[str]:
    yield "| Name | Methods | Proof | A signed time may be off by | If not stored | If the proof is wrong |"
    yield "|---|---|---|---|---|---|"
    for name, provider in _list_all():
        proof, window = describe_proof(provider)
        unavailable, unauthorized = provider.ANSWERS
        yield f"| `{name}` | {', '.join(provider.METHODS)} | {proof} | {window} | {unavailable} | {unauthorized} |"


def _draw_words() -> Iterator[str]:
    yield "| Name | Its words, as far as there are samples, by what they become |"
    yield "|---|---|"
    for name, _ in _list_all():
        told = [f"**{known}** {', '.join(f'`{word}`' for word in words)}" for known, words in list_words(name).items()]
        yield f"| `{name}` | {'; '.join(told)} |"


def write_anew(text: str) -> str:
    """The document with the tables as they are now. Raises `ValueError` where it has no place for them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/providers.md has lost its marks: {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{build_guide()}\n\n{END}{after}"


if __name__ == "__main__":
    GUIDE.write_text(write_anew(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
