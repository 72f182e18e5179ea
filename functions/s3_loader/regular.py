"""Rows of SparkPost's regular bodies, made by a library in C (layers/postgres/regular/) in a fifth of Python's time.

The library takes the part of `providers._sparkpost_regular`, `s3_loader.rows` and `s3_loader.touched` for the events
that it wholly understands; every other is odd, and goes the way in Python. What it meets for the first time (a mailing,
a client) it gives back as JSON, and keeps the key that it gets for it. Without the library everything goes in Python.
"""

import ctypes
import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from ctypes import (
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    string_at,
)
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec
from msgspec import Raw

from common.activities import USER, Identity, make_content_key
from common.details import find_dictionary, pack_segments
from common.event_keys import find_salt
from common.events import Client, Event, Mailing, Receiver, Sender, Unparseable
from providers._sparkpost_regular import CLASSES, FIELDS
from providers.sparkpost import NAME, SENDER_FIELDS, TYPES, build_shared, find_kind, read_reply
from s3_loader.batches import Expired
from s3_loader.dimensions import Dimensions
from s3_loader.library import open_library
from s3_loader.suppressing import ENDING

REMEMBERED = 64 * 1024 * 1024  # bytes that the library's tables may take from one body to the next
# SparkPost's type → its class. What forbids to mail somebody must be looked at in Python (s3_loader.suppressing).
RENDERED_TYPES = {
    name: event_class for name, (event_class, ours) in TYPES.items() if event_class in CLASSES and ours not in ENDING
}

_KINDS, _SENDERS, _MAILINGS, _RECEIVERS, _CLIENTS, _REPLIES, _ADDRESSES, _USERS = range(8)


class _Fresh(Structure):
    """Entries of one table that have no key yet: JSON with commas between, and of a person the earliest time."""

    _fields_ = (("texts", c_size_t), ("size", c_uint64), ("count", c_uint64), ("times", c_size_t))


class _Result(Structure):
    """What the library gives back; fields that point are addresses."""

    _fields_ = (
        ("count", c_uint64),
        ("details", c_size_t),
        ("details_size", c_uint64),
        ("segments", c_size_t),
        ("odd", c_size_t),
        ("odd_count", c_uint64),
        ("remembered", c_uint64),
        ("rows", c_size_t),
        ("rows_size", c_uint64),
        ("fresh", _Fresh * 8),
    )


def _decoder(kind: Any) -> Any:
    return msgspec.json.Decoder(list[kind]).decode


_decode_kinds = _decoder(tuple[str, str | None, bool])
_decode_replies = _decoder(tuple[str, str | None, bool, Any, str | None])
_decode_senders = _decoder(tuple[str | bool | None, ...])
_decode_mailings = _decoder(tuple[str | None, str | None, str | None, str | None, str | None, tuple[str, ...], int])
_decode_receivers = _decoder(Receiver)
_decode_clients = _decoder(tuple[str, Raw])
_decode_people = _decoder(str)


@dataclass(frozen=True, slots=True)
class Rendered:
    """What became of a body; times are microseconds since 1970."""

    rows: bytes  # of the events that were understood, in order, without COPY's header and trailer
    count: int  # of these
    odd: list[int]  # positions of all other items
    rest: bytes  # a body of these items
    addresses: dict[str, int]  # of the rows: recipient → earliest event, where no user is named
    users: dict[str, int]  # user → earliest event


class Renderer:
    """Renders for one `Dimensions`, in one thread at a time."""

    def __init__(self, library: ctypes.CDLL, dimensions: Dimensions) -> None:
        self._library = library
        self._dimensions = dimensions
        self._senders: list[Sender] = []  # as the library numbers them
        self._forgotten: int | None = None  # what `dimensions` counted when the tables were right
        self._handle = library.regular_new(
            _list_names(FIELDS),
            len(FIELDS),
            _list_names(RENDERED_TYPES),
            _list_names(RENDERED_TYPES.values()),
            len(RENDERED_TYPES),
            dimensions.user_mark[1:-1],
            find_salt(NAME),
            find_dictionary(NAME),
            int.from_bytes(os.urandom(8), "big"),
        )
        if not self._handle:
            raise MemoryError
        self._result = _Result.from_address(self._handle)

    def __del__(self) -> None:
        self._library.regular_free(getattr(self, "_handle", None))

    def render(self, body: bytes, batch_id: int, *, earliest: int, latest: int) -> Rendered | None:
        """The rows of a body; an event before `earliest` or after `latest` is odd. None: all of it is for Python."""
        dimensions, library, result = self._dimensions, self._library, self._result
        forgotten = dimensions.forgotten
        if self._forgotten != forgotten or result.remembered > REMEMBERED:
            library.regular_forget(self._handle)
            self._senders.clear()
        self._forgotten = None
        if not -(2**31) <= batch_id < 2**31 or not library.regular_scan(
            self._handle, body, len(body), earliest, latest
        ):
            return None
        users = self._learn()
        rows = b""
        if result.count:
            frames, sizes = pack_segments(
                string_at(result.details, result.details_size), string_at(result.segments, 16 * result.count), NAME
            )
            address, _ = sizes.buffer_info()
            if not library.regular_render(self._handle, batch_id, frames, len(frames), address, len(sizes)):
                return None
            rows = string_at(result.rows, result.rows_size)
        self._forgotten = forgotten
        odd = array("Q", string_at(result.odd, 24 * result.odd_count) if result.odd_count else b"")
        return Rendered(
            rows,
            result.count,
            odd[::3].tolist(),
            b"[" + b",".join(body[begin:end] for begin, end in zip(odd[1::3], odd[2::3], strict=True)) + b"]",
            dict(zip(self._read(_ADDRESSES, _decode_people), self._read_times(_ADDRESSES), strict=True)),
            users,
        )

    def _learn(self) -> dict[str, int]:
        """Gives the library the keys that it lacks. Returns the users."""
        dimensions = self._dimensions
        read, teach = self._read, self._teach
        teach(_KINDS, [dimensions.kinds.find_key(find_kind(*kind)) for kind in read(_KINDS, _decode_kinds)])
        teach(
            _REPLIES,
            [
                dimensions.kinds.find_key(find_kind(*kind, *read_reply(code, reason)))
                for *kind, code, reason in read(_REPLIES, _decode_replies)
            ],
        )
        senders = read(_SENDERS, _decode_senders)
        names = len(SENDER_FIELDS)
        self._senders += [Sender._make((*group[:names], build_shared(group[names:]))) for group in senders]
        teach(_SENDERS, [0] * len(senders))  # mailings name them
        find_key = dimensions.mailings.find_key
        make, of = Mailing._make, self._senders
        teach(
            _MAILINGS,
            [find_key(make((*mailing, of[sender]))) for *mailing, sender in read(_MAILINGS, _decode_mailings)],
        )
        teach(_RECEIVERS, [dimensions.receivers.find_key(row) for row in read(_RECEIVERS, _decode_receivers)])
        teach(
            _CLIENTS,
            [
                dimensions.clients.find_key(Client(agent, bytes(reading).decode() if bytes(reading) != b"null" else ""))
                for agent, reading in read(_CLIENTS, _decode_clients)
            ],
        )
        users = read(_USERS, _decode_people)
        teach(_USERS, [make_content_key(Identity(USER, user)) for user in users])
        return dict(zip(users, self._read_times(_USERS), strict=True))

    def _read(self, table: int, decode: Any) -> Sequence[Any]:
        fresh = self._result.fresh[table]
        if not fresh.count:
            return ()
        return cast("Sequence[Any]", decode(b"[" + string_at(fresh.texts, fresh.size) + b"]"))

    def _read_times(self, table: int) -> array[int]:
        fresh = self._result.fresh[table]
        return array("q", string_at(fresh.times, 8 * fresh.count) if fresh.count else b"")

    def _teach(self, table: int, keys: Sequence[int]) -> None:
        if keys:
            address, _ = (numbers := array("q", keys)).buffer_info()
            self._library.regular_learn(self._handle, table, address, len(numbers))


def place(
    items: Iterable[Event | Unparseable | Expired], odd: Sequence[int]
) -> Iterator[Event | Unparseable | Expired]:
    """What `Rendered.rest` holds, each with its position in the whole body."""
    for item in items:
        if isinstance(item, Expired) or item.position is None:
            yield item
        else:
            yield item._replace(position=odd[item.position])


def _list_names(names: Collection[str]) -> "ctypes.Array[c_char_p]":
    return (c_char_p * len(names))(*(name.encode() for name in names))


def open_renderer(dimensions: Dimensions) -> Renderer | None:
    """What renders; None where there is no library."""
    library = _open_library()
    return None if library is None else Renderer(library, dimensions)


@cache
def _open_library() -> ctypes.CDLL | None:
    names, handle, numbers = POINTER(c_char_p), c_size_t, c_size_t
    functions: list[tuple[Any, ...]] = [
        ("new", handle, names, c_size_t, names, names, c_size_t, c_char_p, c_int64, c_uint8, c_uint64),
        ("free", None, handle),
        ("forget", None, handle),
        ("scan", c_bool, handle, c_char_p, c_size_t, c_int64, c_int64),
        ("learn", c_bool, handle, c_uint32, numbers, c_size_t),
        ("render", c_bool, handle, c_int32, c_char_p, c_size_t, numbers, c_size_t),
    ]
    return open_library("regular", "SparkPost's bodies", functions)
