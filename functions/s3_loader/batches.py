"""A stored batch: the object, and what the listener noted about it."""

import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from common.events import Event, Unparseable
from common.objects import StoredObject
from providers import Delivery, find_provider

# Bytes after decompression; API Gateway lets in 6 MB. The worst JSON takes thirty times as much as objects of Python's.
LARGEST_BODY = 24 * 1024 * 1024
GZIP = b"\x1f\x8b"
LATEST = timedelta(days=1)  # ahead of its arrival: a sender's clock may be wrong by a zone


class Batch(NamedTuple):
    """One stored body and where it came from."""

    object_key: str
    provider: str
    provider_batch_id: str | None
    request_id: str | None
    received_at: datetime
    body: bytes
    content_type: str = ""
    query: str = ""
    single_use: bool = False  # its provider's batch id stands for one body


class Limits(NamedTuple):
    """Which times are sane and which are wanted."""

    oldest: timedelta  # before the batch's arrival; older is a mistake
    expired_before: datetime  # the retention's end; older is right, but not kept


class Expired(NamedTuple):
    """An event past the retention: right, but its partition is gone."""

    event: Event


def read_batch(object_key: str, stored: StoredObject) -> Batch:
    """The batch that an object holds. Raises `ValueError` where its metadata are not the listener's."""
    metadata = stored.metadata
    try:
        received_at = datetime.fromisoformat(metadata["received-at"])
    except KeyError:
        raise ValueError("the object has no metadata received-at: it was not stored by the listener") from None
    if received_at.tzinfo is None:
        raise ValueError("the object's metadata received-at has no zone")
    name = metadata.get("provider") or object_key.split("/")[1]
    provider = find_provider(name)
    return Batch(
        object_key=object_key,
        provider=name,
        provider_batch_id=metadata.get("batch-id") or None,
        request_id=metadata.get("request-id") or None,
        received_at=received_at,
        body=stored.body,
        content_type=metadata.get("content-type", ""),
        query=metadata.get("query", ""),
        single_use=provider is not None and provider.SINGLE_USE_BATCH_ID,
    )


def decompress(body: bytes) -> bytes:
    """The body without gzip, whether or not a header said so. Raises `ValueError` if damaged or too large."""
    if not body.startswith(GZIP):
        return body
    try:
        reader = zlib.decompressobj(wbits=31)
        text = reader.decompress(body, LARGEST_BODY)
    except zlib.error as failure:
        raise ValueError(f"damaged gzip: {failure}") from None
    if not reader.eof and len(text) == LARGEST_BODY:
        raise ValueError(f"gzip of more than {LARGEST_BODY} bytes: send smaller batches")
    if not reader.eof:
        raise ValueError("gzip is cut short")
    return text


def parse_batch(batch: Batch, limits: Limits) -> Iterator[Event | Unparseable | Expired]:
    """What a batch holds, in order, with what can't be loaded set apart."""
    provider = find_provider(batch.provider)
    if provider is None:
        yield Unparseable(None, f"unknown provider {batch.provider[:100]}", None)
        return
    try:
        body = decompress(batch.body)
    except ValueError as failure:
        yield Unparseable(None, str(failure), None)
        return
    earliest = batch.received_at - limits.oldest
    latest = batch.received_at + LATEST
    delivery = Delivery(batch.received_at, batch.content_type, batch.query, batch.provider_batch_id or "")
    for event in provider.parse(body, delivery):
        if type(event) is Event and not earliest <= event.occurred_at <= latest:
            problem = f"its time {event.occurred_at:%Y-%m-%dT%H:%M:%SZ} is too far from its arrival"
            yield Unparseable(event.position, problem, provider.restore(event))
        elif type(event) is Event and event.occurred_at < limits.expired_before:
            yield Expired(event)
        else:
            yield event
