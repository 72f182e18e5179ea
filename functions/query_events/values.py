"""How the texts of parameters are read, and what the OpenAPI document says of each form."""

import difflib
import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from common.errors import ApiError
from common.event_keys import make_event_key
from common.events import Json
from providers import list_mappings, list_providers
from providers._fields import LONGEST_INDEXED
from query_events.keywords import build_keywords, escape_pattern, fold

INVALID: Final = "1200"  # SparkPost's code for invalid parameters
DELIMITER: Final = ","
LARGEST_PAGE: Final = 10_000
LAST_PAGE: Final = 1_000_000
LONGEST_LIST: Final = 1_000
LONGEST_NUMBER: Final = 9  # digits
LAST_CHARACTER: Final = "\U0010ffff"
SHOWN: Final = 40  # characters of a value in an error
PROVIDERS: Final = (*list_providers(), *list_mappings())

# A `+00:00` that was not encoded arrives with a space.
_UNENCODED_OFFSET = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")


class Reading(NamedTuple):
    """What else in a request says how its values are meant."""

    delimiter: str = DELIMITER
    zone: tzinfo = UTC  # of times without one


class Form(NamedTuple):
    """A form of value: `read` makes it from the parameter's name, its text and the reading; raises `ApiError`."""

    read: Callable[[str, str, Reading], object]
    schema: Json  # JSON Schema of one value
    is_list: bool = False


class Entry(NamedTuple):
    """Texts that a key of the metadata may have."""

    values: list[str]
    key: str = ""


class Beginnings(NamedTuple):
    """Texts that begin like one of some texts, which is between two texts in the order of bytes."""

    patterns: list[str]
    first: str
    last: str


class EventKeys(NamedTuple):
    """Keys that an event may have, each with its provider."""

    providers: list[str]
    keys: list[int]


def refuse(name: str, problem: str) -> ApiError:
    """The error for a parameter whose value can't be used."""
    return ApiError(400, "Invalid parameters", f"{name[:SHOWN]} {problem}", INVALID)


def suggest(text: str, known: Collection[str]) -> str:
    """The end of a sentence: what may have been meant."""
    nearest = difflib.get_close_matches(text[:SHOWN], known, 1, 0.5)
    return f"did you mean {nearest[0]}?" if nearest else f"known are {', '.join(sorted(known))[:400]}"


def read_time(name: str, text: str, reading: Reading) -> datetime:
    """`YYYY-MM-DDTHH:MM[:ss[.SSS]][Z|±hh:mm]`."""
    try:
        instant = datetime.fromisoformat(_UNENCODED_OFFSET.sub(r"\1+\2", text))
    except ValueError:
        raise refuse(name, "must be a time like 2026-11-21T09:30:00Z") from None
    if not 1900 <= instant.year < 9999:
        raise refuse(name, "is out of range")
    return (instant if instant.tzinfo else instant.replace(tzinfo=reading.zone)).astimezone(UTC)


def read_zone(name: str, text: str, _reading: Reading) -> tzinfo:
    """An IANA name such as `America/New_York`."""
    try:
        return ZoneInfo(text)
    except (OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError; OSError: the name of a directory
        raise refuse(name, "must be the name of a time zone, like America/New_York") from None


def read_number(largest: int) -> Callable[[str, str, Reading], int]:
    """A whole number from 1 on."""

    def read(name: str, text: str, _reading: Reading) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:LONGEST_NUMBER]) <= largest) or len(text) > 9:
            raise refuse(name, f"must be a number from 1 to {largest}")
        return int(text)

    return read


def read_list(name: str, text: str, reading: Reading) -> list[str]:
    """Values between delimiters, without white space around them."""
    values = [value.strip().replace("\0", "\ufffd") for value in text.split(reading.delimiter)]
    values = [value for value in values if value]
    if len(values) > LONGEST_LIST:
        raise refuse(name, f"may list {LONGEST_LIST} values")
    return values


def read_addresses(name: str, text: str, reading: Reading) -> list[str]:
    """Addresses as events have them: lower case."""
    return [value.lower()[:LONGEST_INDEXED] for value in read_list(name, text, reading)]


def read_ids(name: str, text: str, reading: Reading) -> list[str]:
    """Ids as their columns have them."""
    return [value[:LONGEST_INDEXED] for value in read_list(name, text, reading)]


def read_folded(name: str, text: str, reading: Reading) -> list[str]:
    """Texts in lower case."""
    return [fold(value) for value in read_list(name, text, reading)]


def read_numbers(name: str, text: str, reading: Reading) -> list[int]:
    """Whole numbers."""
    values = read_list(name, text, reading)
    if not all(value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER for value in values):
        raise refuse(name, "must be numbers")
    return [int(value) for value in values]


def read_ordered_beginnings(name: str, text: str, reading: Reading) -> Beginnings:
    """As `read_beginnings`, for an index."""
    texts = read_folded(name, text, reading)
    return Beginnings(read_beginnings(name, text, reading), min(texts), max(texts) + LAST_CHARACTER)


def read_event_keys(name: str, text: str, reading: Reading) -> EventKeys:
    """The keys of events with these ids, whoever the provider."""
    pairs = [
        (provider, make_event_key(provider, value))
        for value in read_list(name, text, reading)
        for provider in PROVIDERS
    ]
    return EventKeys([provider for provider, _ in pairs], [key for _, key in pairs])


def read_wildcard(_name: str, text: str, _reading: Reading) -> list[str]:
    """A text that may stand anywhere; `%` in it stands for anything."""
    return ["%" + "%".join(escape_pattern(part) for part in fold(text).split("%")) + "%"]


def read_beginnings(name: str, text: str, reading: Reading) -> list[str]:
    """LIKE patterns of what begins like one of a list's texts, in any case."""
    return [escape_pattern(value) + "%" for value in read_folded(name, text, reading)]


TEXT: Final[Json] = {"type": "string"}
TIME = Form(read_time, TEXT | {"examples": ["2026-11-21T09:30:00Z", "2026-11-21T09:30"]})
ZONE = Form(read_zone, TEXT | {"examples": ["America/New_York"]})
PLAIN = Form(lambda _name, text, _reading: text, TEXT)
WILDCARD = Form(read_wildcard, TEXT | {"examples": ["%mailbox full%"]})
SIZE = Form(read_number(LARGEST_PAGE), {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE})
PAGE = Form(read_number(LAST_PAGE), {"type": "integer", "minimum": 1, "maximum": LAST_PAGE})
TEXTS = Form(read_list, TEXT, is_list=True)
FOLDED = Form(read_folded, TEXT, is_list=True)
IDS = Form(read_ids, TEXT, is_list=True)
ADDRESSES = Form(read_addresses, TEXT, is_list=True)
NUMBERS = Form(read_numbers, {"type": "integer", "minimum": 0, "maximum": 10**LONGEST_NUMBER - 1}, is_list=True)
ENTRY = Form(lambda name, text, reading: Entry(read_list(name, text, reading)), TEXT, is_list=True)
EVENT_IDS = Form(read_event_keys, TEXT, is_list=True)


def one_of(words: Iterable[str]) -> Form:
    """A list of some of our own words; any other is refused."""
    known = sorted(words)

    def read(name: str, text: str, reading: Reading) -> list[str]:
        values = read_list(name, text, reading)
        for value in values:
            if value not in known:
                raise refuse(name, f"can't be {value[:SHOWN]}: {suggest(value, known)}")
        return values

    return Form(read, {"type": "string", "enum": known}, is_list=True)


def read_total(name: str, text: str, _reading: Reading) -> str:
    """Whether to count all that match."""
    if text not in TOTALS:
        raise refuse(name, f"can't be {text[:SHOWN]}: it is {' or '.join(TOTALS)}")
    return text


TOTALS: Final = ("exact", "none")
TOTAL = Form(read_total, {"type": "string", "enum": list(TOTALS)})


def keywords(separator: str) -> Form:
    """A list of keywords."""
    return Form(
        lambda name, text, reading: build_keywords(read_list(name, text, reading), separator), TEXT, is_list=True
    )
