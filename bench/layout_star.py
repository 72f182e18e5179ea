"""Layout c and its variants: narrow rows whose shared parts live in dimension tables, keyed by a hash of their content."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from bench.layout_parts import (
    Event,
    Layout,
    Zlib,
    Zstd,
    compact,
    copy_text,
    escape,
    hash_content,
    instant,
    json_column,
)

MAILING = ("campaign_id", "template_id", "subject", "friendly_from", "subaccount_id", "ip_pool", "sending_ip", "ab_test_id",
           "ab_test_version")  # fmt: skip
SHARED = ("customer_id", "template_version", "msg_from", "open_tracking", "click_tracking", "initial_pixel", "amp_enabled",
          "transactional")  # fmt: skip
SENDER = ("friendly_from", "subaccount_id", "ip_pool", "sending_ip")
SNOW = ("campaign_id", "template_id", "subject", "ab_test_id", "ab_test_version", "template_version")
SNOW_SHARED = tuple(name for name in SHARED if name != "template_version")
RECEIVER = ("recipient_domain", "routing_domain", "mailbox_provider", "mailbox_provider_region")
COLUMNS = frozenset([*MAILING, *SHARED, *RECEIVER, "rcpt_tags", "timestamp", "type", "bounce_class", "user_agent",
                     "user_agent_parsed", "rcpt_to", "message_id", "transmission_id", "rcpt_meta", "raw_reason",
                     "target_link_url", "ip_address"])  # fmt: skip
DIMENSIONS = {
    "kinds": "id smallint primary key, provider text, provider_type text, bounce_class text",
    "mailings": "id bigint primary key, " + ", ".join(f"{c} text" for c in MAILING) + ", tags text, shared text",
    "receivers": "id bigint primary key, " + ", ".join(f"{c} text" for c in RECEIVER),
    "clients": "id bigint primary key, user_agent text, parsed text",
    "places": "id bigint primary key, geo text",
    "senders": "id bigint primary key, " + ", ".join(f"{c} text" for c in SENDER) + ", shared text",
    "people": "id bigint primary key, recipient text",
}


class Star(Layout):
    """Fixed-width columns first, dimensions by content hash, the rest compressed."""

    def __init__(self, name: str, note: str, **options: Any) -> None:
        self.name, self.note = name, note
        self.packed = options.pop("packed", False)  # numeric ids as int8, event_key is the id, message id as bytes
        self.derived = options.pop("derived", False)  # fields that other columns tell are left out of the residue
        self.places = options.pop("places", False)  # geo_ip is a dimension
        self.metadata = options.pop("metadata", "jsonb")  # jsonb, text, or detail (inside the residue)
        self.no_nulls = options.pop("no_nulls", False)  # empty values instead of NULL: no bitmap in the tuple
        self.rare = options.pop("rare", "columns")  # reason, url, ip: columns or detail
        self.values_only = options.pop("values_only", False)  # residue is an array of values; keys are a shape
        self.by_time = options.pop("by_time", False)  # (recipient, occurred_at) instead of (recipient)
        self.block = options.pop("block", 0)  # details of so many events share a compressed row
        self.bloom = options.pop("bloom", True)
        self.codec_options = options.pop("codec", {})
        self.zlib = options.pop("zlib", False)
        self.mailing_index = options.pop("mailing_index", True)
        self.message_hash = options.pop("message_hash", False)
        self.snow = options.pop("snow", False)  # what all mailings of a sender share is a dimension of mailings
        self.people = options.pop("people", False)  # recipient is a dimension
        assert not options, options
        self._seen: set[tuple[str, object]] = set()
        self._new: dict[str, list[tuple[object, ...]]] = {}
        self._kinds: dict[tuple[str, str | None], int] = {}
        self._shapes: dict[tuple[str, ...], int] = {}
        self._blocks = 0

    def train(self, samples: list[Event]) -> None:
        residues = [self.residue(event).encode() for event in samples]
        if self.block:
            residues = [b"\n".join(residues[i : i + self.block]) for i in range(0, len(residues), self.block)]
        self.codec = Zlib(residues) if self.zlib else Zstd(residues, **self.codec_options)

    def residue(self, event: Event) -> str:
        rest = {key: value for key, value in event.items() if key not in COLUMNS}
        if rest.get("reason") is not None and rest["reason"] == event.get("raw_reason"):
            del rest["reason"]
        if self.rare == "detail":
            for name in ("raw_reason", "target_link_url", "ip_address"):
                if name in event:
                    rest[name] = event[name]
        if rest.get("raw_rcpt_to") == event.get("rcpt_to"):
            del rest["raw_rcpt_to"]
        if self.packed:
            del rest["event_id"]
        if self.places:
            rest.pop("geo_ip", None)
        if self.metadata == "detail":
            rest["rcpt_meta"] = event["rcpt_meta"]
        if self.derived and "injection_time" in rest:
            injected = int(datetime.fromisoformat(rest["injection_time"]).timestamp())
            rest["injection_time"] = int(event["timestamp"]) - injected
            if not rest["injection_time"]:
                del rest["injection_time"]
        if self.values_only:
            shape = tuple(rest)
            return compact([self._shapes.setdefault(shape, len(self._shapes)), *rest.values()])
        return compact(rest)

    def schema(self) -> str:
        null = " not null" if self.no_nulls else ""
        big = [("occurred_at", "timestamptz not null"), ("event_key", "bigint not null"), ("mailing", "bigint not null"),
               ("receiver", "bigint not null")]  # fmt: skip
        if self.packed:
            big.append(("transmission", "bigint" + null))
        big.append(("client", "bigint" + null))
        if self.places:
            big.append(("place", "bigint" + null))
        rows = [*big, ("batch_id", "int not null")]
        if self.block:
            rows.append(("block", "int not null"))
        rows += [("kind", "smallint not null"), ("recipient", "text" + null)]
        if self.people:
            rows.remove(("recipient", "text" + null))
            rows.insert(4, ("recipient", "bigint"))
        rows.append(("message_id", "bytea" + null if self.packed else "text"))
        if not self.packed:
            rows.append(("transmission_id", "text"))
        if self.metadata != "detail":
            rows.append(("metadata", self.metadata))
        if self.rare == "columns":
            rows += [("reason", "text" + null), ("url", "text" + null), ("ip_address", "text" + null)]
        if not self.block:
            rows.append(("detail", "bytea not null"))
        self._columns = ", ".join(name for name, _ in rows)
        self._names = [name for name, _ in rows]
        message = "(hashtextextended(encode(message_id, 'hex'), 0))" if self.message_hash else "message_id"
        ddl = [
            f"CREATE TABLE events ({', '.join(f'{n} {t}' for n, t in rows)}) PARTITION BY RANGE (occurred_at)",
            "CREATE UNIQUE INDEX event_key ON events (occurred_at, event_key)",
            f"CREATE INDEX recipient ON events (recipient{', occurred_at' if self.by_time else ''})",
            f"CREATE INDEX message ON events ({message})",
            "CREATE TABLE batches (id int primary key, object_key text, received_at timestamptz, loaded_at timestamptz)",
            *(f"CREATE TABLE {table} ({columns})" for table, columns in DIMENSIONS.items()),
        ]
        if self.mailing_index:
            ddl.append("CREATE INDEX mailing ON events (mailing)")
        if self.bloom:
            ddl.append("CREATE INDEX event_bloom ON events USING brin (event_key int8_bloom_ops)")
        if self.block:
            ddl.append("CREATE TABLE details (id int primary key, block bytea)")
        sql = ";\n".join(ddl)
        if self.snow:
            sql += ";DROP TABLE mailings; CREATE TABLE mailings (id bigint primary key, sender bigint, "
            sql += ", ".join(f"{c} text" for c in SNOW) + ", tags text)"
        return sql

    def columns(self) -> str:
        return self._columns

    def _put(self, table: str, key: object, row: tuple[object, ...]) -> None:
        if (table, key) not in self._seen:
            self._seen.add((table, key))
            self._new.setdefault(table, []).append((key, *row))

    def take_new_rows(self) -> dict[str, list[tuple[object, ...]]]:
        new, self._new = self._new, {}
        for rows in new.values():
            rows.sort(key=lambda row: row[0])  # type: ignore[arg-type, return-value]
        return new

    def _dimension(self, table: str, values: list[str]) -> str:
        key = hash_content(*values)
        self._put(table, key, tuple(values))
        return str(key)

    def render(self, events: list[Event], batch: int) -> bytes:
        null = "" if self.no_nulls else "\\N"
        zero = "0" if self.no_nulls else "\\N"
        lines, details = [], []
        for event in events:
            get = event.get
            kind_key = (event["type"], get("bounce_class"))
            kind = self._kinds.setdefault(kind_key, len(self._kinds))
            self._put("kinds", kind, ("sparkpost", *kind_key))
            tags = compact(event["rcpt_tags"])
            if self.snow:
                shared = compact([get(name) for name in SNOW_SHARED])
                sender = self._dimension("senders", [*(get(n, "") for n in SENDER), shared])
                mailing = self._dimension("mailings", [sender, *(get(n, "") for n in SNOW), tags])
            else:
                shared = compact([get(name) for name in SHARED])
                mailing = self._dimension("mailings", [*(get(n, "") for n in MAILING), tags, shared])
            receiver = self._dimension("receivers", [get(n, "") for n in RECEIVER])
            client = zero
            if "user_agent" in event:
                client = self._dimension("clients", [event["user_agent"], compact(get("user_agent_parsed"))])
            place = self._dimension("places", [compact(event["geo_ip"])]) if self.places and "geo_ip" in event else zero
            key = event["event_id"] if self.packed else str(hash_content("sparkpost", event["event_id"]))
            row = [instant(event["timestamp"]), key, mailing, receiver]
            if self.people:
                row.append(self._dimension("people", [event["rcpt_to"]]))
            if self.packed:
                row.append(get("transmission_id", zero))
            row.append(client)
            if self.places:
                row.append(place)
            row.append(str(batch))
            detail = self.residue(event)
            if self.block:
                if len(details) % self.block == 0:
                    self._blocks += 1
                row.append(str(self._blocks))
                details.append((self._blocks, detail))
            row.append(str(kind))
            if not self.people:
                row.append(copy_text(event["rcpt_to"]))
            message = get("message_id")
            if self.packed:
                row.append(null if message is None else "\\\\x" + message)
            else:
                row += [copy_text(message), copy_text(get("transmission_id"))]
            if self.metadata != "detail":
                row.append(json_column(event["rcpt_meta"]))
            if self.rare == "columns":
                row += [
                    escape(event[n]) if n in event else null for n in ("raw_reason", "target_link_url", "ip_address")
                ]
            if not self.block:
                row.append("\\\\x" + self.codec.compress(detail.encode()).hex())
            lines.append("\t".join(row))
        blocks: dict[int, list[str]] = {}
        for number, detail in details:
            blocks.setdefault(number, []).append(detail)
        for number, parts in blocks.items():
            self._put("details", number, (self.codec.compress("\n".join(parts).encode()),))
        self._put("batches", batch, (f"raw/sparkpost/2026/11/21/12/{batch:032x}", "2026-11-21", "2026-11-21"))
        return ("\n".join(lines) + "\n").encode()
