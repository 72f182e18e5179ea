"""Checks a provider's mapping, and shows what it makes of a body (docs/generic-provider.md)."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# The functions' code is no installed package.
sys.path.append(str(Path(__file__).parents[1] / "functions"))

from common.clock import format_instant
from common.events import UNKNOWN, Event, Unparseable
from providers import Delivery
from providers._mapping import check_mapping

FORM = "application/x-www-form-urlencoded"


def show_mapping(path: Path, sample: Path | None = None, *, content_type: str = "", query: str = "") -> int:
    """Prints the events of a sample body; how many parts of it are none. Raises `MappingError`."""
    provider = check_mapping(path)
    print(f"{path.name}: the mapping is well formed; its webhooks go to /webhooks/{provider.name}")
    if sample is None:
        return 0
    body = sample.read_bytes()
    if not content_type and body.startswith(b"--"):
        content_type = f"multipart/form-data; boundary={body.splitlines()[0][2:].decode('latin-1')}"
    found = list(
        provider.parse(body, Delivery(datetime.now(UTC), content_type or FORM, query, "the-id-of-the-request"))
    )
    events = [entry for entry in found if isinstance(entry, Event)]
    problems = [entry for entry in found if isinstance(entry, Unparseable)]
    for event in events:
        print(json.dumps(list_values(event), ensure_ascii=False, indent=2))
    for problem in problems:
        place = "the body" if problem.position is None else f"item {problem.position}"
        print(f"{place} would be set aside: {problem.reason}")
    for word in sorted({event.kind.provider_type for event in events if event.kind.event_type == UNKNOWN}):
        print(f"the word {word!r} is not in type.words: its events are {UNKNOWN}")
    print(f"{len(events)} events, {len(problems)} set aside")
    return len(problems)


def list_values(event: Event) -> dict[str, Any]:
    """An event's values by the names that a mapping has for them; those that are empty left out."""
    mailing = event.mailing
    values: dict[str, Any] = {
        "occurred_at": format_instant(event.occurred_at),
        "event_id": event.event_id,
        **event.kind._asdict(),
        **{name: getattr(event, name) for name in ("recipient", "message_id", "transmission_id")},
        **mailing._asdict(),
        **mailing.sender._asdict(),
        **event.receiver._asdict(),
        "sender": mailing.sender.address,
        "tags": list(mailing.tags),
        "metadata": None if event.metadata is None else json.loads(event.metadata),
        **{name: getattr(event, name) for name in ("reason", "url", "ip_address")},
        "user_agent": None if event.client is None else event.client.user_agent,
    }
    for name in ("provider", "address", "domain", "shared"):
        del values[name]
    return {name: value for name, value in values.items() if value not in (None, "", False, [])}
