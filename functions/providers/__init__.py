"""The email service providers: one module each, named like its segment of the webhook's URL.

A provider's module (docs/adding-a-provider.md) has
- `verify(request, secrets, now)`: returns when the request comes from the provider, else raises `UnverifiedError`;
- `parse(body, delivery)`: yields an `Event` or an `Unparseable` for each item of a stored body;
- `restore(event)`: the provider's own item back from what was stored;
and, where the defaults below are not what the provider needs,
- `METHODS`: how it delivers events (`POST`); the query of a GET is stored as its body;
- `find_batch_id(request)`: what of the request names the batch; 200 characters of it are kept ("");
- `handshake(request, secrets, now)`: the `Reply` to a request that brings no events, or None (None);
- `SINGLE_USE_BATCH_ID`: whether a batch id stands for one body, so that another body under it is set aside (False);
- `ANSWERS`: what it is told where the usual status would make it lose events.

A provider can also be described without code, by a mapping in mappings/<name>.json (docs/generic-provider.md).

Only the module that a request names is imported: it is on the way of every webhook. Modules with a leading underscore
are what providers share.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple, Protocol, cast

from common.events import Event, Json, Unparseable

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


class WebhookRequest(NamedTuple):
    """A webhook as it came in; header names are lower case."""

    provider: str
    method: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""  # as it was sent, without the question mark
    path: str = ""  # as it was sent
    path_secret: str = ""  # of /webhooks/{provider}/{secret}

    @property
    def url(self) -> str:
        """The URL that the provider was told to call."""
        return f"https://{self.headers.get('host', '')}{self.path}{'?' if self.query else ''}{self.query}"


class Delivery(NamedTuple):
    """What the listener noted of a request beside its body."""

    received_at: datetime
    content_type: str = ""
    query: str = ""
    batch_id: str = ""  # of `find_batch_id`


class Reply(NamedTuple):
    """An answer to a request that brings no events."""

    status: int = 200
    body: str = "{}"
    headers: Mapping[str, str] = {}


class Answers(NamedTuple):
    """Statuses that make the provider send again."""

    unavailable: int = 503  # the body could not be stored
    unauthorized: int = 401


class UnverifiedError(Exception):
    """The sender did not prove who it is."""


class Provider(Protocol):
    """A provider's module, with what it left out filled in."""

    METHODS: Sequence[str]
    ANSWERS: Answers
    SINGLE_USE_BATCH_ID: bool

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
        """Returns when one of the live secrets proves the request's sender. Raises `UnverifiedError`."""

    def parse(self, body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
        """What a stored body holds, in order. Never raises."""

    def restore(self, event: Event) -> Json:
        """The item that an event was made from."""

    def find_batch_id(self, request: WebhookRequest) -> str:
        """The provider's own id of this batch, or ""."""

    def handshake(self, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> Reply | None:
        """The answer to a request that brings no events. Raises `UnverifiedError`."""


DEFAULTS: Mapping[str, object] = {
    "METHODS": ("POST",),
    "ANSWERS": Answers(),
    "SINGLE_USE_BATCH_ID": False,
    "find_batch_id": lambda _request: "",
    "handshake": lambda _request, _secrets, _now: None,
}


@lru_cache(64)
def find_provider(name: str) -> Provider | None:
    """The provider of this name, or None: a module, else a mapping. Raises `ValueError` where the mapping is wrong."""
    if not NAME.fullmatch(name):
        return None
    spec = find_spec(f"providers.{name}")
    if spec is None or spec.origin is None:  # mappings/ is a folder, no module
        from providers._mapping import find_mapped

        return find_mapped(name)
    module = import_module(f"providers.{name}")
    for attribute, default in DEFAULTS.items():
        module.__dict__.setdefault(attribute, default)
    return cast("Provider", module)


def list_providers() -> list[str]:
    """The names of all providers that are modules, sorted."""
    from pathlib import Path  # tests and start-up of other functions only

    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def list_mappings() -> list[str]:
    """The names of all providers that are mappings, sorted."""
    from pathlib import Path  # as above

    return sorted(path.stem for path in Path(__file__).parent.glob("mappings/*.json"))
