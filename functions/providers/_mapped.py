"""A provider that is described by a mapping (docs/generic-provider.md), with what a provider's module has.

The detail keeps each item whole, though columns say parts of it again: a mapping may change, and what was stored under
the old one must still come back as it was sent. What is around the items of a body is kept with each, under `AROUND`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from common.events import Event, Json, Unparseable
from providers import Answers, Delivery, Reply, WebhookRequest
from providers._events import parse_json, read_events, restore_item
from providers._fields import clean
from providers._forms import decode_text, read_fields, read_urlencoded
from providers._mapped_items import AROUND, OWN, ItemReader
from providers._mapped_paths import follow, split_path
from providers._mapped_proof import build_verify
from providers._mapping_checks import ENVELOPE, QUERY
from providers._standard_webhooks import find_message_id

LONGEST_ID = 200  # what the listener keeps of a request's id
NUL = b"\0"  # tells that characters may come that Postgres can't hold

TAKEN: Mapping[str, tuple[str, ...]] = {}


class MappedProvider:
    """The provider of a mapping that was checked."""

    SINGLE_USE_BATCH_ID = False

    def __init__(self, name: str, mapping: Json) -> None:
        self.name = name
        self._mapping = mapping
        self.METHODS: Sequence[str] = mapping.get("methods", ["POST"])
        self.ANSWERS = Answers(**mapping.get("answers", {}))
        self._verify = build_verify(mapping["proof"])
        body = mapping["body"]
        self._format = body["format"]
        self._field = body.get("field")
        self._items = split_path(body["items"]) if "items" in body else None
        self._has_query = body.get("query", False)
        ids = mapping.get("id")
        self._id_header = ids["header"].lower() if type(ids) is dict else ""
        self._handshakes = mapping.get("handshake_methods", ())

    @cached_property
    def _reader(self) -> ItemReader:
        """Made for the first body: the listener reads none."""
        return ItemReader(self.name, self._mapping)

    def handshake(self, request: WebhookRequest, _secrets: Sequence[str], _now: datetime) -> Reply | None:
        """A method that only asks whether anybody is there is told so."""
        return Reply() if request.method in self._handshakes else None

    def verify(self, request: WebhookRequest, secrets: Sequence[str], now: datetime) -> None:
        """As the mapping's `proof` says."""
        self._verify(request, secrets, now)

    def find_batch_id(self, request: WebhookRequest) -> str:
        """The request's id, of the header that the mapping names or of Standard Webhooks."""
        if self._id_header:
            return request.headers.get(self._id_header, "")[:LONGEST_ID]
        return find_message_id(request) if self._mapping["proof"]["how"] == "standard_webhooks" else ""

    def parse(self, body: bytes, delivery: Delivery) -> Iterator[Event | Unparseable]:
        """The events of a body. Raises `ValueError` only where the mapping names a zone that there is none of."""
        reader = self._reader
        around: Json = {}
        try:
            items = self._find_items(body, delivery, around)
            shown = clean(around)
        except ValueError as problem:
            return iter([Unparseable(None, str(problem), None)])
        except RecursionError:
            return iter([Unparseable(None, "nested too deeply", None)])
        for item in items:
            if type(item) is dict and (around or AROUND in item):
                item[AROUND] = around if AROUND not in item else around | {OWN: item[AROUND]}
        # Of several events, which one the request's id is about is not known.
        batch_id = delivery.batch_id if self._id_header and len(items) == 1 else ""
        doubtful = NUL if self._format == "form" or delivery.query else body
        return read_events(lambda: items, partial(reader.read, shown, batch_id), TAKEN, body=doubtful)

    def restore(self, event: Event) -> Json:
        """The item as it was sent, whatever the mapping says by now."""
        item = restore_item(event, TAKEN)
        around = item.pop(AROUND, {})
        if OWN in around:
            item[AROUND] = around[OWN]
        return item

    def _find_items(self, body: bytes, delivery: Delivery, around: Json) -> list[Any]:
        """The body's items; what is around them goes into `around`. Raises `ValueError`."""
        if self._has_query and delivery.query:
            around[QUERY] = _build_object(read_urlencoded(delivery.query.encode("utf-8", "surrogatepass")))
        if self._format == "json_lines":
            return [_read_line(line) for line in body.splitlines() if line.strip()]
        if self._format == "form":
            document: Any = _build_object(read_fields(body.strip(), delivery.content_type))
            if self._field is None:
                return [document] if document else []
            text = document.pop(self._field, None)
            if type(text) is not str:
                raise ValueError(f"the form has no field {self._field}, or several")
            if document:
                around[ENVELOPE] = document
            document = parse_json(text.encode("utf-8", "surrogatepass"))
        else:
            document = parse_json(body)
        if self._items is not None and type(document) is dict:
            *way, last = self._items
            parent = follow(document, tuple(way))
            if type(parent) is dict and type(parent.get(last)) in (list, dict):
                items = parent.pop(last)
                if document:
                    around[ENVELOPE] = around.get(ENVELOPE, {}) | document
                return items if type(items) is list else [items]
        return document if type(document) is list else [document]


def _read_line(line: bytes) -> Any:
    try:
        return parse_json(line)
    except ValueError:
        return decode_text(line)  # set aside by itself


def _build_object(fields: Sequence[tuple[bytes, bytes]]) -> Json:
    """Fields as an object; a name that comes several times has the list of its values."""
    found: Json = {}
    for pair in fields:
        name, value = map(decode_text, pair)
        if name in found:
            given = found[name]
            found[name] = [*(given if type(given) is list else [given]), value]
        else:
            found[name] = value
    return found
