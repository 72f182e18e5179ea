"""Layout m: what the events of one message share is a row of `messages`, keyed by its content like the dimensions."""

from __future__ import annotations

from bench.layout_parts import Event, compact, hash_content, instant
from bench.layout_star import RECEIVER, TAKEN, Star

OF_MESSAGE = frozenset(["injection_time", "raw_rcpt_to", "rcpt_type", "event_id"])
NOT_OF_MESSAGE = ("raw_reason", "target_link_url")
COLUMNS = {
    "occurred_at": "timestamptz NOT NULL",
    "event_key": "bigint NOT NULL",
    "message": "bigint NOT NULL",
    "client": "bigint",
    "batch_id": "int NOT NULL",
    "kind": "smallint NOT NULL",
    "ip_address": "text",
    "detail": "bytea NOT NULL",
}
MESSAGES = """
CREATE TABLE messages (id bigint PRIMARY KEY, mailing bigint, receiver bigint, transmission bigint, recipient text,
                       message_id bytea, metadata jsonb, rest text);
CREATE INDEX ON messages (recipient);
CREATE INDEX ON messages (message_id);
CREATE INDEX ON messages (mailing);
CREATE INDEX message ON events (message)"""


class Messages(Star):
    """Events are fixed-width numbers and a small residue; all else is the message's."""

    joined = "events JOIN messages ON messages.id = events.message"

    def residue(self, event: Event) -> str:
        """What is neither the message's nor a number."""
        rest = {key: value for key, value in event.items() if key not in TAKEN and key not in OF_MESSAGE}
        rest |= {name: event[name] for name in NOT_OF_MESSAGE if name in event}
        if rest.get("reason") == event.get("raw_reason"):
            rest.pop("reason", None)
        return compact(rest)

    def list_columns(self) -> list[tuple[str, str]]:
        """Name and type of each column of the events."""
        return list(COLUMNS.items())

    def schema(self) -> str:
        """As of the star, without the columns and indexes that moved to the messages."""
        moved = ("recipient", "message", "mailing")
        kept = [
            part
            for part in super().schema().split(";\n")
            if not part.startswith(tuple(f"CREATE INDEX {m} " for m in moved))
        ]
        return ";\n".join(kept) + ";" + MESSAGES

    def _take_columns(self, event: Event) -> dict[str, str]:
        get = event.get
        mailing = self.put_mailing(event, senders=True)
        receiver = self.put_content("receivers", *(get(name, "") for name in RECEIVER))
        rest = compact(
            [
                get("injection_time"),
                get("rcpt_type"),
                None if get("raw_rcpt_to") == get("rcpt_to") else get("raw_rcpt_to"),
            ]
        )
        metadata, message_id = compact(event["rcpt_meta"]), get("message_id", "")
        key = hash_content(mailing, receiver, event["transmission_id"], event["rcpt_to"], message_id, metadata, rest)
        self.put("messages", key, int(mailing), int(receiver), int(event["transmission_id"]), event["rcpt_to"],
                 bytes.fromhex(message_id), metadata, rest)  # fmt: skip
        return {
            "occurred_at": instant(event["timestamp"]),
            "event_key": event["event_id"],
            "message": str(key),
            "client": self.put_client(event) or "\\N",
            "kind": self.put_kind(event),
            "ip_address": get("ip_address", "\\N"),
        }
