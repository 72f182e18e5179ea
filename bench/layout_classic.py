"""Layouts a and b: one wide row per event, the remaining fields as jsonb or compressed, and classic indexes."""

from __future__ import annotations

import hashlib

from bench.layout_parts import Event, Layout, array, compact, copy_text, escape, instant, json_column

KINDS: dict[str, int] = {}
# provider field → column; text unless told otherwise
TEXTS = {
    "rcpt_to": "recipient",
    "message_id": "message_id",
    "transmission_id": "transmission_id",
    "campaign_id": "campaign",
    "template_id": "template",
    "template_version": "template_version",
    "subject": "subject",
    "friendly_from": "sender",
    "subaccount_id": "subaccount",
    "ip_pool": "ip_pool",
    "mailbox_provider": "mailbox_provider",
    "mailbox_provider_region": "mailbox_provider_region",
    "recipient_domain": "recipient_domain",
    "ab_test_id": "ab_test",
    "ab_test_version": "ab_test_version",
    "reason": "reason",
    "target_link_url": "url",
}
NUMBERS = {"bounce_class": "bounce_class"}
ADDRESSES = {"sending_ip": "sending_ip", "ip_address": "ip_address"}
TAKEN = frozenset([*TEXTS, *NUMBERS, *ADDRESSES, "type", "timestamp", "rcpt_meta", "rcpt_tags"])


class Classic(Layout):
    """A wide row; `detail` is what has no column."""

    def __init__(self, name: str, note: str, *, compressed: bool) -> None:
        self.name, self.note, self.compressed = name, note, compressed

    def residue(self, event: Event) -> str:
        """Everything without a column, as JSON."""
        return compact({key: value for key, value in event.items() if key not in TAKEN})

    def schema(self) -> str:
        """The table with its partitions' indexes."""
        columns = ", ".join(
            [
                "occurred_at timestamptz not null",
                "received_at timestamptz not null",
                "loaded_at timestamptz not null default now()",
                "event_key uuid not null",
                "batch_id int not null",
                "kind smallint not null",
                *(f"{c} smallint" for c in NUMBERS.values()),
                *(f"{c} inet" for c in ADDRESSES.values()),
                *(f"{c} text" for c in TEXTS.values()),
                "tags text[]",
                "metadata jsonb",
                f"detail {'bytea' if self.compressed else 'jsonb'}",
            ]
        )
        return f"""
        CREATE TABLE events ({columns}) PARTITION BY RANGE (occurred_at);
        CREATE INDEX recipient ON events (recipient, occurred_at);
        CREATE INDEX message ON events (message_id);
        CREATE INDEX campaign ON events (campaign);
        CREATE UNIQUE INDEX event_key ON events (event_key, occurred_at);
        CREATE INDEX occurred ON events USING brin (occurred_at);"""

    def columns(self) -> str:
        """In the order of `render`."""
        names = ["occurred_at", "received_at", "event_key", "batch_id", "kind", *NUMBERS.values(), *ADDRESSES.values()]
        return ", ".join([*names, *TEXTS.values(), "tags", "metadata", "detail"])

    def render(self, events: list[Event], batch: int) -> bytes:
        """Rows in COPY's text format."""
        lines = []
        for event in events:
            at = instant(event["timestamp"])
            residue = self.residue(event)
            lines.append(
                "\t".join(
                    [
                        at,
                        at,
                        hashlib.blake2b(b"sparkpost:" + event["event_id"].encode(), digest_size=16).hexdigest(),
                        str(batch),
                        str(KINDS.setdefault(event["type"], len(KINDS))),
                        *(event.get(k, "\\N") for k in NUMBERS),
                        *(event.get(k, "\\N") for k in ADDRESSES),
                        *(copy_text(event.get(k)) for k in TEXTS),
                        array(event["rcpt_tags"]),
                        json_column(event["rcpt_meta"]),
                        "\\\\x" + self.codec.compress(residue.encode()).hex() if self.compressed else escape(residue),
                    ]
                )
            )
        return ("\n".join(lines) + "\n").encode()
