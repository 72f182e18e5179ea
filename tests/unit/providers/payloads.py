"""The payloads as tests use them: `local.samples` reads them; here is what they become."""

import json
from collections.abc import Iterator
from typing import Any

from common.clock import format_instant
from common.events import Event
from local.samples import FOLDER, NOW, Payload, list_payloads, read_payload

__all__ = ["FOLDER", "NOW", "Payload", "flatten", "list_payloads", "parse_payload", "read_payload"]


def parse_payload(payload: Payload) -> Iterator[Any]:
    """What the loader gets of a payload."""
    return payload.provider.parse(payload.body, payload.delivery)


def flatten(event: Event) -> dict[str, Any]:
    """An event's values by name, those that are None or false left out."""
    mailing = event.mailing
    parts: list[Any] = [event.kind, mailing, mailing.sender, event.receiver, *([event.client] if event.client else [])]
    values: dict[str, Any] = {}
    for part in (event, *parts):
        values |= part._asdict()
    for name in ("kind", "mailing", "receiver", "client", "sender", "detail", "position", "shared", "parsed"):
        values.pop(name, None)
    values |= {
        "occurred_at": format_instant(event.occurred_at),
        "metadata": None if event.metadata is None else json.loads(event.metadata),
        "tags": list(mailing.tags),
    }
    return {name: value for name, value in values.items() if value not in (None, False, [])}
