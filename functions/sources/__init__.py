"""The shapes in which behaviour is sent to us: one module each, named like the folder of its raw batches.

A source's module has
- `COLLECTIONS`: path → what its bodies hold; the path's own part of a delivery (`Delivery.query`);
- `accept(request)`: what is said once the body is stored; raises `ApiError` for what is not to be stored;
- `answer(path)`: the `Reply` to a GET, or None;
- `parse(body, delivery)`: yields an `Item` for each thing that a stored body says. Never raises.
- `restore(activity)`: the source's own item back from what was stored.

As with providers, modules are light at import: the listener waits for them.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final, Protocol, cast

from common.activities import Activity, Link, Profile, Series
from common.events import Json, Unparseable
from providers import Delivery, Reply, WebhookRequest

Item = Activity | Profile | Link | Series | Unparseable

SOURCES: Final = ("moesif", "segment", "prometheus")


class Source(Protocol):
    """A source's module."""

    COLLECTIONS: Mapping[str, str]

    def accept(self, request: WebhookRequest) -> Reply:
        """What the client is told once the body is stored. Raises `ApiError` where it is not to be stored."""

    def answer(self, path: str) -> Reply | None:
        """The answer to a GET, or None where there is nothing to get."""

    def parse(self, body: bytes, delivery: Delivery) -> Iterator[Item]:
        """What a stored body says, in order. Never raises."""

    def restore(self, activity: Activity) -> Json:
        """The item that an activity was made from."""


def find_source(name: str) -> Source | None:
    """The source of this name, or None."""
    return cast("Source", import_module(f"sources.{name}")) if name in SOURCES else None


def find_name(path: str) -> str | None:
    """The name of the source to whom a path belongs, or None."""
    for name in SOURCES:
        source = find_source(name)
        if source is not None and (path in source.COLLECTIONS or source.answer(path) is not None):
            return name
    return None
