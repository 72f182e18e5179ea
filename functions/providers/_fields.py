"""Reading a provider's JSON: what is not as expected becomes None or stays in the detail; nothing is lost.

What a column says is not kept a second time: parsing takes such fields out of the detail, restoring puts them back.
What can't be told from the columns is noted in the detail under the reserved name `NOTES`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from common.events import Json
from common.json_text import decode_json, encode_json

NOTES = ""  # no provider has a field of this name; one that has is kept whole
LONGEST_INDEXED = 600  # characters of a column that a B-tree indexes, in any script; longer ones stay in the detail too
TEXT_OR_ABSENT = frozenset({str, type(None)})
# What JSON can say and Postgres can't hold: NUL, and halves of surrogate pairs.
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# Escaped: whole pairs of surrogates too, and a backslash that may escape something once more. What follows the first
# backslash is looked ahead at: a search for a single byte is many times as fast as one for two.
_ESCAPED_UNSTORABLE = re.compile(rb"\\(?=u(?:0000|005[cC]|[dD][89a-fA-F]))")
_fromtimestamp = datetime.fromtimestamp
_unused = blake2b(digest_size=16)


def take_texts(fields: Json, names: Sequence[str], detail: Json) -> list[str | None]:
    """The text fields of these names, taken out of the detail (a copy of the fields).

    What is not a text, or is empty, stays in the detail; its column gets what a text can say of it.
    """
    size = len(detail)
    pop = detail.pop
    values = [pop(name, None) for name in names]
    regular = TEXT_OR_ABSENT.issuperset(map(type, values)) and "" not in values
    if regular and len(detail) + len(values) - values.count(None) == size:
        return values
    for position, name in enumerate(names):
        if name in fields and (type(fields[name]) is not str or not fields[name]):
            detail[name] = fields[name]
            values[position] = read_text(fields[name])
    return values


def read_text(value: object) -> str | None:
    """A text or number as the text of a column."""
    if type(value) is str:
        return value or None
    return str(value) if type(value) in (int, float) else None


def read_epoch(value: object) -> datetime:
    """A time from seconds since 1970 (number or text) or from ISO 8601 with a zone. Raises `ValueError`."""
    try:
        if type(value) is int or type(value) is float:
            return _fromtimestamp(value, UTC)
        if type(value) is str:
            if value.isdigit() and value.isascii():
                return _fromtimestamp(int(value), UTC)
            if value.isascii() and value.replace(".", "", 1).isdigit():
                return _fromtimestamp(float(value), UTC)
            instant = datetime.fromisoformat(value)
            if instant.tzinfo is not None:
                return instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise ValueError("timestamp is neither seconds since 1970 nor ISO 8601 with a zone")


def format_epoch(instant: datetime) -> str:
    """Whole seconds since 1970."""
    return str(int(instant.timestamp()))


def hash_canonical(item: object) -> str:
    """An id for an event that has none: the same for the same content in whatever order and spacing."""
    return hash_text(encode_json(item, order="sorted"))


def hash_text(text: bytes) -> str:
    """An id made from a text that is canonical."""
    digest = _unused.copy()  # quicker than one made anew
    digest.update(text)
    return f"hash:{digest.hexdigest()}"


def may_be_unstorable(body: bytes) -> bool:
    """Whether a JSON text may hold a character that Postgres can't; quick, and sometimes true in vain."""
    # From the right: a search from the left stops at each "u", of which there are many more.
    escaped = body.find(b"\\") >= 0 and body.rfind(b"\\u") >= 0 and _ESCAPED_UNSTORABLE.search(body) is not None
    return escaped or body.find(b"\0") >= 0 or (not body.isascii() and b"\xed" in body)


def clean(value: Any) -> Any:
    """The same JSON without the characters that Postgres can't hold, each replaced by U+FFFD."""
    if type(value) is str:
        return UNSTORABLE.sub("\ufffd", value)
    if type(value) is list:
        return [clean(entry) for entry in value]
    if type(value) is dict:
        return {clean(name): clean(entry) for name, entry in value.items()}
    return value


def decode_inner(text: str) -> Any:
    """The value of a JSON text that is itself a text of an item, cleaned. Raises `ValueError`.

    Cleaning the item did not show what is escaped in here.
    """
    encoded = text.encode("utf-8", "surrogatepass")
    try:
        value = decode_json(encoded)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return clean(value) if may_be_unstorable(encoded) else value


def split_domain(address: str | None) -> str | None:
    """The domain of an address, lower case."""
    return address.rpartition("@")[2].lower() or None if address and "@" in address else None
