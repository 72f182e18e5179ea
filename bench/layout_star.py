"""Layout c and its variants: narrow rows, with what they share in dimension tables under a hash of its content."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.layout_parts import (
    Event,
    Layout,
    Row,
    Samples,
    Zlib,
    Zstd,
    compact,
    copy_text,
    escape,
    hash_content,
    instant,
    json_column,
)

SENDER = ("friendly_from", "subaccount_id", "ip_pool", "sending_ip")
CAMPAIGN = ("campaign_id", "template_id", "subject", "ab_test_id", "ab_test_version", "template_version")
FLAGS = ("customer_id", "msg_from", "open_tracking", "click_tracking", "initial_pixel", "amp_enabled", "transactional")
RECEIVER = ("recipient_domain", "routing_domain", "mailbox_provider", "mailbox_provider_region")
RARE = {"raw_reason": "reason", "target_link_url": "url", "ip_address": "ip_address"}
OTHERS = (
    "rcpt_tags timestamp type bounce_class user_agent user_agent_parsed rcpt_to message_id transmission_id rcpt_meta"
)
TAKEN = frozenset([*SENDER, *CAMPAIGN, *FLAGS, *RECEIVER, *RARE, *OTHERS.split()])


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a layout does differently from c."""

    packed: bool = False  # the event id is the event key, transmission ids are numbers, message ids bytes
    derived: bool = False  # the injection time is kept as its distance from the event
    places: bool = False  # geo_ip is a dimension
    senders: bool = False  # what the mailings of a sender share is a dimension of mailings
    people: bool = False  # recipients are a dimension
    metadata: str = "jsonb"  # its column's type, or `detail`: inside the residue
    no_nulls: bool = False  # empty values instead of NULL: no bitmap in the row
    rare: str = "columns"  # reason, url, address: columns, or `detail`
    values_only: bool = False  # the residue is an array of values behind the number of their keys
    by_time: bool = False  # index (recipient, occurred_at) instead of (recipient)
    block: int = 0  # so many events' details share a compressed row
    message_hash: bool = False  # the message index holds a hash of the id
    zlib: bool = False  # instead of zstd
    codec: dict[str, Any] = field(default_factory=dict)  # options of zstd


class Star(Layout):
    """Fixed-width columns first, dimensions by content, the rest compressed."""

    def __init__(self, name: str, note: str, variant: Variant | None = None) -> None:
        self.name, self.note, self.variant = name, note, variant or Variant()
        self._seen: set[tuple[str, object]] = set()
        self._new: dict[str, list[Row]] = {}
        self._kinds: dict[Row, int] = {}
        self._shapes: dict[tuple[str, ...], int] = {}
        self._blocks = 0

    def train(self, samples: list[Event]) -> None:
        """Make the codec from sample events."""
        plain = [self.residue(event).encode() for event in samples]
        size = self.variant.block or 1
        residues: Samples = [b"\n".join(plain[i : i + size]) for i in range(0, len(plain), size)]
        self.codec = Zlib(residues) if self.variant.zlib else Zstd(residues, **self.variant.codec)

    def residue(self, event: Event) -> str:
        """What no column and no dimension says, as JSON."""
        variant = self.variant
        rest = {key: value for key, value in event.items() if key not in TAKEN}
        if rest.get("reason") == event.get("raw_reason"):
            rest.pop("reason", None)
        if variant.rare == "detail":
            rest |= {name: event[name] for name in RARE if name in event}
        if rest["raw_rcpt_to"] == event["rcpt_to"]:
            del rest["raw_rcpt_to"]
        if variant.packed:
            del rest["event_id"]
        if variant.places:
            rest.pop("geo_ip", None)
        if variant.metadata == "detail":
            rest["rcpt_meta"] = event["rcpt_meta"]
        if variant.derived and "injection_time" in rest:
            seconds = int(event["timestamp"]) - int(datetime.fromisoformat(rest.pop("injection_time")).timestamp())
            if seconds:
                rest["injection_time"] = seconds
        if variant.values_only:
            return compact([self._shapes.setdefault(tuple(rest), len(self._shapes)), *rest.values()])
        return compact(rest)

    def list_columns(self) -> list[tuple[str, str]]:
        """Name and type of each column, widest alignment first."""
        variant = self.variant
        null = " NOT NULL" if variant.no_nulls else ""
        rows = [(name, "bigint NOT NULL") for name in ("event_key", "mailing", "receiver")]
        rows.insert(0, ("occurred_at", "timestamptz NOT NULL"))
        if variant.people:
            rows.append(("recipient", "bigint NOT NULL"))
        if variant.packed:
            rows.append(("transmission", "bigint" + null))
        rows.append(("client", "bigint" + null))
        if variant.places:
            rows.append(("place", "bigint" + null))
        rows.append(("batch_id", "int NOT NULL"))
        if variant.block:
            rows.append(("block", "int NOT NULL"))
        rows.append(("kind", "smallint NOT NULL"))
        if not variant.people:
            rows.append(("recipient", "text" + null))
        rows += (
            [("message_id", "bytea" + null)] if variant.packed else [("message_id", "text"), ("transmission", "text")]
        )
        if variant.metadata != "detail":
            rows.append(("metadata", variant.metadata))
        if variant.rare == "columns":
            rows += [(name, "text" + null) for name in RARE.values()]
        if not variant.block:
            rows.append(("detail", "bytea NOT NULL"))
        return rows

    def schema(self) -> str:
        """DDL of the events, their indexes and the dimensions."""
        variant = self.variant
        message = "(hashtextextended(encode(message_id, 'hex'), 0))" if variant.message_hash else "message_id"
        senders = "sender bigint" if variant.senders else ", ".join(f"{c} text" for c in (*SENDER, "flags"))
        dimensions = {
            "kinds": "provider text, provider_type text, bounce_class text",
            "mailings": f"{senders}, {', '.join(f'{c} text' for c in CAMPAIGN)}, tags text",
            "senders": ", ".join(f"{c} text" for c in (*SENDER, "flags")),
            "receivers": ", ".join(f"{c} text" for c in RECEIVER),
            "clients": "user_agent text, parsed text",
            "places": "geo text",
            "people": "recipient text",
            "details": "block bytea",
            "batches": "object_key text, received_at timestamptz, loaded_at timestamptz",
        }
        return ";\n".join([
            f"CREATE TABLE events ({', '.join(map(' '.join, self.list_columns()))}) PARTITION BY RANGE (occurred_at)",
            "CREATE UNIQUE INDEX event_key ON events (occurred_at, event_key)",
            f"CREATE INDEX recipient ON events (recipient{', occurred_at' if variant.by_time else ''})",
            f"CREATE INDEX message ON events ({message})",
            "CREATE INDEX mailing ON events (mailing)",
            "CREATE INDEX event_bloom ON events USING brin (event_key int8_bloom_ops)",
            *(f"CREATE TABLE {name} (id bigint PRIMARY KEY, {columns})" for name, columns in dimensions.items()),
        ])  # fmt: skip

    def columns(self) -> str:
        """The columns that COPY gets."""
        return ", ".join(name for name, _ in self.list_columns())

    def put(self, table: str, key: int, *row: object) -> str:
        """Remember a dimension's row unless it was handed out before; its key."""
        if (table, key) not in self._seen:
            self._seen.add((table, key))
            self._new.setdefault(table, []).append((key, *row))
        return str(key)

    def put_content(self, table: str, *values: str) -> str:
        """Remember a dimension's row under a hash of its content."""
        return self.put(table, hash_content(*values), *values)

    def take_new_rows(self) -> dict[str, list[Row]]:
        """Dimension rows that were not handed out before, by table, in the order of keys."""
        new, self._new = self._new, {}
        for rows in new.values():
            rows.sort()
        return new

    def put_kind(self, event: Event) -> str:
        """The kind of an event."""
        row = ("sparkpost", event["type"], event.get("bounce_class"))
        return self.put("kinds", self._kinds.setdefault(row, len(self._kinds)), *row)

    def put_mailing(self, event: Event, *, senders: bool) -> str:
        """The mailing of an event, with its sender beside it or within it."""
        get = event.get
        sender = (*(get(name, "") for name in SENDER), compact([get(name) for name in FLAGS]))
        first = (self.put_content("senders", *sender),) if senders else sender
        return self.put_content("mailings", *first, *(get(name, "") for name in CAMPAIGN), compact(event["rcpt_tags"]))

    def put_client(self, event: Event) -> str | None:
        """The user agent of an event."""
        if "user_agent" not in event:
            return None
        return self.put_content("clients", event["user_agent"], compact(event.get("user_agent_parsed")))

    def render(self, events: list[Event], batch: int) -> bytes:
        """Rows in COPY's text format."""
        lines = []
        blocks: dict[int, list[str]] = {}
        for index, event in enumerate(events):
            values = self._take_columns(event)
            values["batch_id"] = str(batch)
            detail = self.residue(event)
            if self.variant.block:
                self._blocks += index % self.variant.block == 0
                blocks.setdefault(self._blocks, []).append(detail)
                values["block"] = str(self._blocks)
            else:
                values["detail"] = "\\\\x" + self.codec.compress(detail.encode()).hex()
            lines.append("\t".join([values[name] for name, _ in self._listed()]))
        for number, parts in blocks.items():
            self.put("details", number, self.codec.compress("\n".join(parts).encode()))
        self.put("batches", batch, f"raw/sparkpost/2026/11/21/12/{batch:032x}", "2026-11-21", "2026-11-21")
        return ("\n".join(lines) + "\n").encode()

    def _listed(self) -> list[tuple[str, str]]:
        if not hasattr(self, "_cached"):
            self._cached = self.list_columns()
        return self._cached

    def _take_columns(self, event: Event) -> dict[str, str]:
        """Each column's text but the detail's, and the dimensions' rows put aside."""
        variant, get = self.variant, event.get
        null, zero = ("", "0") if variant.no_nulls else ("\\N", "\\N")
        message, transmission = get("message_id"), get("transmission_id")
        values = {
            "occurred_at": instant(event["timestamp"]),
            "event_key": event["event_id"] if variant.packed else str(hash_content("sparkpost", event["event_id"])),
            "mailing": self.put_mailing(event, senders=variant.senders),
            "receiver": self.put_content("receivers", *(get(name, "") for name in RECEIVER)),
            "client": self.put_client(event) or zero,
            "kind": self.put_kind(event),
            "recipient": self.put_content("people", event["rcpt_to"])
            if variant.people
            else copy_text(event["rcpt_to"]),
            "transmission": transmission or zero,
            "metadata": json_column(event["rcpt_meta"]),
            "message_id": null if message is None else "\\\\x" + message if variant.packed else message,
        }
        values |= {column: escape(event[name]) if name in event else null for name, column in RARE.items()}
        if variant.places:
            values["place"] = self.put_content("places", compact(event["geo_ip"])) if "geo_ip" in event else zero
        return values
