"""The declared table of the search's parameters: name, how its text is read, which condition it sets.

Adding a parameter is adding a row. Values are always bound, under the parameter's own name.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pypika import CustomFunction, Table
from pypika import Parameter as Bound
from pypika import PostgreSQLQuery as Query
from pypika.terms import Criterion, Term

from common.errors import ApiError

events = Table("events")
kinds = Table("kinds")

INVALID = "1200"  # SparkPost's code for invalid parameters
DELIMITER = ","
LARGEST_PAGE = 10_000
DEFAULT_PAGE = 1_000
LONGEST_LIST = 1_000

any_of = CustomFunction("ANY", ["array"])
array_of = CustomFunction("ARRAY", ["query"])

# A `+00:00` that was not encoded arrives with a space.
_UNENCODED_OFFSET = re.compile(r" (\d\d:?\d\d)$")


def refuse(name: str, problem: str) -> ApiError:
    """The error for a parameter whose value can't be used."""
    return ApiError(400, "Invalid parameters", f"{name} {problem}", INVALID)


def read_time(name: str, text: str) -> datetime:
    """`YYYY-MM-DDTHH:MM[:ss[.SSS]][Z|±hh:mm]`; without a zone it is UTC."""
    try:
        instant = datetime.fromisoformat(_UNENCODED_OFFSET.sub(r"+\1", text))
    except ValueError:
        raise refuse(name, "must be a time like 2026-11-21T09:30:00Z") from None
    try:
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except OverflowError:
        raise refuse(name, "is out of range") from None


def read_list(name: str, text: str) -> list[str]:
    """Values between delimiters, without white space around them."""
    values = [value.strip() for value in text.split(DELIMITER)]
    values = [value.replace("\0", "\ufffd") for value in values if value]
    if len(values) > LONGEST_LIST:
        raise refuse(name, f"may list {LONGEST_LIST} values")
    return values


def read_addresses(name: str, text: str) -> list[str]:
    """Addresses as events have them: lower case."""
    return [value.lower() for value in read_list(name, text)]


def read_page_size(name: str, text: str) -> int:
    """1 to 10,000."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LARGEST_PAGE):
        raise refuse(name, f"must be a number from 1 to {LARGEST_PAGE}")
    return int(text)


def bind(name: str) -> Term:
    """The place of a bound value."""
    return Bound(f"%({name})s")


def is_any(term: Term) -> Callable[[str], Criterion]:
    """The column equals one of the bound list's values."""
    return lambda name: term == any_of(bind(name))


def has_kind(term: Term) -> Callable[[str], Criterion]:
    """A column of the event's kind equals one of the bound list's values; found first, so that an index can serve."""

    def condition(name: str) -> Criterion:
        return events.kind_key == any_of(array_of(Query.from_(kinds).select(kinds.kind_key).where(is_any(term)(name))))

    return condition


class Parameter(NamedTuple):
    """One row: `condition` makes a criterion from the name that the value is bound under; None sets none by itself."""

    name: str
    read: Callable[[str, str], object]
    condition: Callable[[str], Criterion] | None
    meaning: str


PARAMETERS = {
    row.name: row
    for row in (
        Parameter("from", read_time, lambda name: events.occurred_at >= bind(name), "the first instant, inclusive"),
        Parameter("to", read_time, lambda name: events.occurred_at < bind(name), "the last instant, exclusive"),
        Parameter("recipients", read_addresses, is_any(events.recipient), "addresses, in any case"),
        Parameter("events", read_list, has_kind(kinds.provider_type), "the provider's types of event"),
        Parameter("per_page", read_page_size, None, "results of one page, 1 to 10,000"),
    )
}


def read_parameters(given: Mapping[str, str]) -> dict[str, object]:
    """The values of the known parameters, those that are empty left out. Raises `ApiError`.

    Unknown parameters are ignored, as SparkPost does.
    """
    return {
        name: row.read(name, given[name].strip()) for name, row in PARAMETERS.items() if given.get(name, "").strip()
    }
