"""Reading what clients send: ids, times, paths, users."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from common.activities import Identity
from common.event_keys import hash_key
from common.events import Json
from common.json_text import encode_json
from providers._fields import UNSTORABLE

LONGEST_ID = 600  # characters of a user's or a company's id
LONGEST_NAME = 300  # characters of an action's name or a route; all of it is in the detail, too
DEEPEST = 100  # levels of traits
LARGEST_INT = 2**31 - 1  # of an int in Postgres

REMEMBERED = 20_000  # beginnings of paths, and names in them
LONGEST_REMEMBERED = 500  # characters of a URI

# What stands for one thing among many, of a path's names: numbers, UUIDs, hashes, prefixed ids, addresses.
_is_id = re.compile(
    r"\d+|(?=.*\d)(?:[0-9a-fA-F-]{8,}|[A-Za-z0-9_~.-]{20,}|[A-Za-z]{1,8}_[A-Za-z0-9]{6,})|.*(?:@|%40).*", re.DOTALL
).fullmatch


def check_object(item: object) -> Json:
    """The item, a JSON object. Raises `ValueError`."""
    if type(item) is dict:
        return item
    raise ValueError("it is not a JSON object")


def check_depth(value: object) -> None:
    """Raises `ValueError` where objects and arrays are nested too deeply for what follows."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {DEEPEST} levels deep")


def read_instant(value: object) -> datetime:
    """A time in ISO 8601; one without a zone is in UTC. Raises `ValueError`."""
    if type(value) is str:
        try:
            instant = datetime.fromisoformat(value)
            instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError("its time is not in ISO 8601") from None
        return instant
    raise ValueError("it has no time")


def is_canonical(text: str) -> bool:
    """Whether a valid time is as JavaScript writes it, `2026-11-21T09:12:33.123Z`: then it follows from the instant."""
    return len(text) == 24 and text[23] == "Z" and text[19] == "." and text[10] == "T" and text[7] == "-"


def show_instant(instant: datetime) -> str:
    """The canonical form of a time."""
    return instant.isoformat(timespec="milliseconds")[:23] + "Z"


def read_id(fields: Json, name: str) -> str | None:
    """An id as a text; None where it is absent or empty. Raises `ValueError`."""
    value = fields.get(name)
    if type(value) is str:
        if len(value) > LONGEST_ID:
            raise ValueError(f"its {name} is longer than {LONGEST_ID} characters")
        if UNSTORABLE.search(value):
            raise ValueError(f"its {name} has characters that can't be stored")
        return value or None
    if value is None:
        return None
    if type(value) is int and abs(value) < 10**LONGEST_ID:
        return str(value)
    raise ValueError(f"its {name} is neither a text nor a whole number")


def read_name(value: object) -> str | None:
    """A text that many activities share, cut to what a column takes."""
    return UNSTORABLE.sub("\ufffd", value[:LONGEST_NAME]) if type(value) is str and value else None


def read_user(value: str | None, kind: str) -> Identity | None:
    """The identity of an id, if there is one."""
    return None if value is None else Identity(kind, value)


def show_properties(value: object) -> bytes | None:
    """An object with something in it as JSON."""
    return encode_json(value) if type(value) is dict and value else None


def make_key(source: str, identifier: object, item: Json) -> tuple[int, int | None]:
    """The key of an item's id, and the rest of it where it is a UUID; without an id the key of all that it says."""
    if type(identifier) is str and identifier:
        digits = identifier.replace("-", "")
        if (
            len(identifier) == 36
            and len(digits) == 32
            and identifier[8] == identifier[13] == identifier[18] == identifier[23] == "-"
            and digits.isalnum()
            and identifier == identifier.lower()
        ):
            try:
                number = int(digits, 16)
            except ValueError:
                pass
            else:
                low = _sign(number & _MASK)
                return _sign(number >> 64) ^ low ^ find_salt(source), low
        return hash_key(f"{source}\0{identifier}".encode("utf-8", "surrogatepass")), None
    return hash_key(source.encode() + encode_json(item, order="sorted")), None


def show_uuid(source: str, key: int, rest: int) -> str:
    """The UUID that a key and its rest were made from."""
    number = ((key ^ rest ^ find_salt(source)) & _MASK) << 64 | (rest & _MASK)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


_MASK = 2**64 - 1


def _sign(number: int) -> int:
    """64 bits as a bigint holds them."""
    return number - 2**64 if number >> 63 else number


@lru_cache(8)
def find_salt(source: str) -> int:
    """What is mixed into the keys of a source's UUIDs."""
    return hash_key(source.encode())


def find_route(uri: object) -> str | None:
    """The path of a URI, with {id} for what looks like one: so that there are few of them."""
    return (read_name(shape_route(uri)) or "/") if type(uri) is str else None


def shape_route(uri: str) -> str:
    """The same, of any length."""
    if "?" in uri:
        uri = uri.partition("?")[0]
    if "#" in uri:
        uri = uri.partition("#")[0]
    before, slash, name = uri.rpartition("/")
    if not slash or before[-1:] == "/" or len(uri) > LONGEST_REMEMBERED:
        return _shape_path(uri)
    return f"{_shape_beginning(before)}/{'{id}' if name.isdecimal() else _show_name(name)}"


def _shape_path(uri: str) -> str:
    _, absolute, rest = uri.partition("://")
    first, *names = (rest if absolute else uri).split("/")
    return "/".join(("" if absolute else first, *("{id}" if _is_id(name) else name for name in names)))


@lru_cache(REMEMBERED)
def _shape_beginning(uri: str) -> str:
    return _shape_path(uri)


@lru_cache(REMEMBERED)
def _show_name(name: str) -> str:
    return "{id}" if _is_id(name) else name
