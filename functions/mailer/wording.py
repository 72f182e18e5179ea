"""Digests in words, for mails and for Slack."""

from collections.abc import Iterable
from typing import Any


def name_counts(body: dict[str, Any]) -> str:
    """How many entered and left."""
    counts = body["counts"]
    said = [f"{counts[key]:,} {word}" for key, word in (("added", "entered"), ("removed", "left")) if counts[key]]
    return " and ".join(said) or "nobody entered or left"


def name_period(body: dict[str, Any]) -> str:
    """From when until when, and how many are members."""
    begin, end = (body["period"][key][:16].replace("T", " ") for key in ("from", "to"))
    return f"{begin} to {end} UTC; {body['counts']['members']:,} members now"


def list_entries(entries: Iterable[dict[str, Any]]) -> list[str]:
    """One line for each: who, since when, and the fields that were asked for."""
    lines = []
    for entry in entries:
        at = entry.get("entered_at") or entry.get("exited_at") or ""
        fields = [f"{name}: {value}" for name, value in entry["fields"].items() if value is not None]
        lines.append(", ".join([f"{entry['id']} ({at[:19].replace('T', ' ')} UTC)", *fields]))
    return lines
