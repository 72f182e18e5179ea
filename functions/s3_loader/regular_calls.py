"""Rows of regular API calls, made by a library in C (layers/postgres/regular/) in a tenth of Python's time.

The library takes the part of `sources._moesif_regular` and `s3_loader.activity_rows` for the calls that it wholly
understands; every other is odd, and goes the way in Python. A body is scanned when it is read. What the library meets
for the first time (an operation, a user) it gives back as JSON, and is given the short key once that is known; then the
rows are made, when COPY asks for them. Without the library everything goes in Python.
"""

import ctypes
import os
from array import array
from collections.abc import Iterable, Mapping, Sequence
from ctypes import Structure, c_bool, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64, string_at
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from common.activities import COMPANY, USER, Identity, Operation
from common.details import find_dictionary, pack_segments
from s3_loader.library import open_library
from s3_loader.short_keys import ShortKeys
from sources._fields import find_salt
from sources._moesif_regular import read_operation
from sources._moesif_sent import SOURCE

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
REMEMBERED = 64 * 1024 * 1024  # bytes that the library's tables may take from one body to the next
USUAL = 2 * 1024 * 1024  # bytes of the details of nearly every body; memory for more is not kept for the next one

_OPERATIONS, _AGENTS, _USERS, _COMPANIES = _TABLES = range(4)
_decode_operations = msgspec.json.Decoder(list[tuple[str, str, int | None, str | None, str | None]]).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode


class _Fresh(Structure):
    """Entries of one table that the last scan met for the first time: JSON with commas between."""

    _fields_ = (("texts", c_size_t), ("size", c_uint64), ("count", c_uint64))


class _State(Structure):
    """What the library says of its tables."""

    _fields_ = (("fresh", _Fresh * 4), ("remembered", c_uint64), ("spoilt", c_uint64))


class _Result(Structure):
    """What the library says of a scan; fields that point are addresses."""

    _fields_ = (
        ("count", c_uint64),
        ("details", c_size_t),
        ("details_size", c_uint64),
        ("segments", c_size_t),
        ("odd", c_size_t),
        ("odd_count", c_uint64),
        ("hours", c_size_t),
        ("hour_count", c_uint64),
        ("touched", c_size_t),
        ("touched_count", c_uint64),
        ("rows", c_size_t),
        ("rows_size", c_uint64),
    )


class Scanned:
    """The calls of one body that were understood; times are milliseconds since 1970."""

    def __init__(self, scanner: "Scanner", body: bytes, earliest: int, latest: int) -> None:
        self._scanner = scanner
        self._library = scanner.library
        self._handle = scanner.take_handle()
        self._result = _Result.from_address(self._handle)
        self._era = -1  # of the scanner: before another, what was scanned is void
        self._body, self._earliest, self._latest = body, earliest, latest
        self._refused = not self.renew()
        self.count: int = self._result.count

    def __del__(self) -> None:
        self._scanner.give_handle(self._handle)

    @property
    def refused(self) -> bool:
        """Whether all of the body is for Python."""
        return self._refused

    def renew(self) -> bool:
        """Scans the body, again where the scanner has forgotten what it learnt. False: the body is refused."""
        scanner = self._scanner
        if self._era == scanner.era:
            return True
        body = self._body
        scanned = self._library.calls_scan(scanner.handle, self._handle, body, len(body), self._earliest, self._latest)
        if not scanner.read_fresh(scanned=scanned):
            return False
        self._era = scanner.era
        return True

    def list_odd(self) -> tuple[list[int], bytes]:
        """Positions of all other items, and a body of these."""
        if not self._result.odd_count:
            return [], b"[]"
        odd, body = array("Q", string_at(self._result.odd, 24 * self._result.odd_count)), self._body
        rest = b",".join(body[begin:end] for begin, end in zip(odd[1::3], odd[2::3], strict=True))
        return odd[::3].tolist(), b"[" + rest + b"]"

    def list_hours(self) -> list[datetime]:
        """The hours that hold one of the calls, each once."""
        hours = array("q", string_at(self._result.hours, 8 * self._result.hour_count))
        return [EPOCH + hour * MILLISECOND for hour in hours]

    def find_touched(self) -> Iterable[tuple[int, int]]:
        """The short key of each user and each company, with the earliest time; once the scanner has learnt them."""
        if not self._library.calls_touch(self._scanner.handle, self._handle):
            raise RuntimeError("the scanner has not learnt all keys")
        touched = array("q", string_at(self._result.touched, 24 * self._result.touched_count))
        return zip(touched[1::3], touched[2::3], strict=True)

    def render(self, batch_id: int) -> bytes:
        """The rows, without COPY's header and trailer; once the scanner has learnt all keys."""
        result = self._result
        if not self.count:
            return b""
        frames, sizes = pack_segments(
            string_at(result.details, result.details_size), string_at(result.segments, 16 * self.count), SOURCE
        )
        address, count = sizes.buffer_info()
        if not self._library.calls_render(
            self._scanner.handle, self._handle, batch_id, frames, len(frames), address, count
        ):
            raise RuntimeError("the scanner has not learnt all keys, or there is no memory")
        return string_at(result.rows, result.rows_size)


class Scanner:
    """Scans for one `ShortKeys`, in one thread at a time."""

    def __init__(self, library: ctypes.CDLL, keys: ShortKeys) -> None:
        self.library = library
        self.era = 0  # how often the tables were forgotten
        self._keys = keys
        self._forgotten = keys.forgotten
        self._free: list[int] = []  # handles of scans: their memory is used again
        # What the library has no key for, in its order.
        self._operations: list[Operation] = []
        self._texts: dict[int, list[str]] = {_AGENTS: [], _USERS: [], _COMPANIES: []}
        self.handle = library.calls_new(
            find_salt(SOURCE), find_dictionary(SOURCE), int.from_bytes(os.urandom(8), "big")
        )
        if not self.handle:
            raise MemoryError
        self._state = _State.from_address(self.handle)

    def __del__(self) -> None:
        for handle in self._free:
            self.library.calls_free_scan(handle)
        self.library.calls_free(getattr(self, "handle", None))

    def take_handle(self) -> int:
        """The handle of a new scan."""
        handle: int | None = self._free.pop() if self._free else self.library.calls_new_scan()
        if handle is None:
            raise MemoryError
        return handle

    def give_handle(self, handle: int) -> None:
        """Takes it back."""
        if _Result.from_address(handle).details_size <= USUAL:
            self._free.append(handle)
        else:
            self.library.calls_free_scan(handle)

    def scan(self, body: bytes, *, earliest: datetime, latest: datetime) -> Scanned | None:
        """The calls of a body; one before `earliest` or after `latest` is odd. None: all of it is for Python."""
        if self._state.remembered > REMEMBERED:
            self.forget()
        scanned = Scanned(self, body, -((EPOCH - earliest) // MILLISECOND), (latest - EPOCH) // MILLISECOND)
        return None if scanned.refused else scanned

    def forget(self) -> None:
        """Forgets all keys."""
        self.library.calls_forget(self.handle)
        self._operations.clear()
        for texts in self._texts.values():
            texts.clear()
        self.era += 1

    def read_fresh(self, *, scanned: bool) -> bool:
        """Reads what the last scan met for the first time. False where that failed; then nothing of it is left."""
        if not scanned:
            if self._state.spoilt:
                self.forget()
            return False
        fresh = self._state.fresh
        try:
            if fresh[_OPERATIONS].count:
                self._operations += map(read_operation, _decode_operations(_read(fresh[_OPERATIONS])))
            for table, texts in self._texts.items():
                if fresh[table].count:
                    texts.extend(_decode_texts(_read(fresh[table])))
        except ValueError:
            self.forget()
            return False
        return True

    def renew(self, scans: Iterable[Scanned]) -> None:
        """Makes scans right again where keys were forgotten since they were made."""
        if self._forgotten != self._keys.forgotten:
            self._forgotten = self._keys.forgotten
            self.forget()
        for scanned in scans:
            if not scanned.renew():
                raise MemoryError

    def list_unknown(self) -> tuple[set[Operation], set[str], set[Identity]]:
        """The operations, agents and identities whose keys are to be learnt."""
        return set(self._operations), set(self._texts[_AGENTS]), {*self._list_users(), *self._list_companies()}

    def learn(self) -> None:
        """Gives the library the keys of these, which `ShortKeys` knows now."""
        keys, texts = self._keys, self._texts
        self._teach(_OPERATIONS, keys.operations, self._operations)
        self._teach(_AGENTS, keys.agents, texts[_AGENTS])
        self._teach(_USERS, keys.identities, self._list_users())
        self._teach(_COMPANIES, keys.identities, self._list_companies())
        self._operations.clear()
        for some in texts.values():
            some.clear()

    def _list_users(self) -> list[Identity]:
        return [Identity(USER, text) for text in self._texts[_USERS]]

    def _list_companies(self) -> list[Identity]:
        return [Identity(COMPANY, text) for text in self._texts[_COMPANIES]]

    def _teach(self, table: int, known: Mapping[Any, int], fresh: Sequence[Any]) -> None:
        if fresh:
            address, count = (numbers := array("q", [known[one] for one in fresh])).buffer_info()
            if not self.library.calls_learn(self.handle, table, address, count):
                raise RuntimeError(f"the library asked for other than {len(numbers)} keys")


def _read(fresh: _Fresh) -> bytes:
    return b"[" + string_at(fresh.texts, fresh.size) + b"]"


def open_scanner(keys: ShortKeys) -> Scanner | None:
    """What scans; None where there is no library."""
    library = _open_library()
    return None if library is None else Scanner(library, keys)


@cache
def _open_library() -> ctypes.CDLL | None:
    handle, address = c_size_t, c_size_t
    functions: list[tuple[Any, ...]] = [
        ("new", handle, c_int64, c_uint8, c_uint64),
        ("free", None, handle),
        ("forget", None, handle),
        ("new_scan", handle),
        ("free_scan", None, handle),
        ("scan", c_bool, handle, handle, c_char_p, c_size_t, c_int64, c_int64),
        ("learn", c_bool, handle, c_uint32, address, c_size_t),
        ("touch", c_bool, handle, handle),
        ("render", c_bool, handle, handle, c_int32, c_char_p, c_size_t, address, c_size_t),
    ]
    return open_library("calls", "API calls", functions)
