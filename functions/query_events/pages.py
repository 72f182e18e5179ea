"""Keyset pagination: newest first, a cursor tells where the page before ended.

WHERE (occurred_at, event_key) < (%(cursor_time)s, %(cursor_key)s) ORDER BY occurred_at DESC, event_key DESC LIMIT n + 1

A cursor also carries the total, so that it is counted once and stays the same on every page.
"""

import base64
import binascii
import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from common.errors import ApiError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INITIAL = "initial"  # SparkPost's word for the first page
_FORMAT = struct.Struct(">qqI")  # microseconds since 1970, event key, total


UNCOUNTED = 2**32 - 1


class Cursor(NamedTuple):
    """The last event of a page, and how many events match in all."""

    occurred_at: datetime
    event_key: int
    total: int | None  # None: not counted


def encode_cursor(cursor: Cursor) -> str:
    """Base64 of the URL-safe alphabet without padding: clients decode or encode a cursor once too often."""
    microseconds = (cursor.occurred_at - EPOCH) // timedelta(microseconds=1)
    total = UNCOUNTED if cursor.total is None else min(cursor.total, UNCOUNTED - 1)
    packed = _FORMAT.pack(microseconds, cursor.event_key, total)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_cursor(text: str) -> Cursor | None:
    """The cursor, None for the first page. Raises `ApiError`."""
    if text in ("", INITIAL):
        return None
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        microseconds, event_key, total = _FORMAT.unpack(packed)
        place = EPOCH + timedelta(microseconds=microseconds), event_key
        return Cursor(*place, None if total == UNCOUNTED else total)
    except (binascii.Error, ValueError, struct.error, OverflowError):
        problem = "cursor must be `initial` or come from a page's links"
        raise ApiError(400, "Invalid parameters", problem, "1200") from None


_EVENT_KEY = struct.Struct(">qq")  # microseconds since 1970, event key


def encode_event_key(occurred_at: datetime, event_key: int) -> str:
    """An event's opaque id for clients, and its place among others: 22 characters that no URL needs to encode."""
    packed = _EVENT_KEY.pack((occurred_at - EPOCH) // timedelta(microseconds=1), event_key)
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def decode_event_key(text: str) -> tuple[datetime, int] | None:
    """Time and key of an event from its id; None where it can't be one."""
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        microseconds, event_key = _EVENT_KEY.unpack(packed)
        return EPOCH + timedelta(microseconds=microseconds), event_key
    except (binascii.Error, ValueError, struct.error, OverflowError):
        return None
