"""Parameters of the routes that SparkPost does not have: each route lists its own; one that it lacks is a 400."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from common.errors import ApiError
from providers import list_mappings, list_providers
from query_events.pages import INITIAL
from query_events.routing import Input
from query_events.values import DELIMITER, TIME, Form, Reading, one_of, read_number, read_time, refuse, suggest
from sources import SOURCES

BEGINNING: Final = datetime(1900, 1, 1, tzinfo=UTC)  # before any event, and what TIME takes
UTC_ZONE: Final = ZoneInfo("UTC")
END: Final = datetime(9999, 1, 1, tzinfo=UTC)


class OwnParameter(NamedTuple):
    """One row."""

    name: str
    form: Form
    meaning: str


def build_page_size(usual: int, largest: int) -> OwnParameter:
    """`per_page`."""
    schema = {"type": "integer", "minimum": 1, "maximum": largest, "default": usual}
    return OwnParameter("per_page", Form(read_number(largest), schema), f"entries of a page, 1 to {largest}")


def _read_cursor(_name: str, text: str, _reading: Reading) -> str | None:
    return None if text == INITIAL else text


FROM = OwnParameter("from", TIME, "the first instant, inclusive")
TO = OwnParameter("to", TIME, "the last instant, exclusive")
PROVIDERS = OwnParameter("providers", one_of([*list_providers(), *list_mappings()]), "providers, separated by commas")
SENDERS = OwnParameter(
    "providers",
    one_of([*list_providers(), *list_mappings(), *SOURCES]),
    "providers, or who sends behaviour, separated by commas",
)
CURSOR = OwnParameter("cursor", Form(_read_cursor, {"type": "string"}), "`initial`, or what a page's link holds")


def read_own(given: Mapping[str, str], table: Sequence[OwnParameter], delimiter: str = DELIMITER) -> dict[str, Any]:
    """The values of what is given and not empty. Raises `ApiError`, for a name that the table lacks too."""
    rows = {row.name: row for row in table}
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in rows:
            raise refuse(name, f"is not a parameter of this path: {suggest(name, rows) if rows else 'it has none'}")
        if text.strip():
            values[name] = rows[name].form.read(name, text.strip(), Reading(delimiter))
    return values


def read_zoned(
    given: Mapping[str, str], table: Sequence[OwnParameter], delimiter: str = DELIMITER
) -> tuple[dict[str, Any], tzinfo]:
    """As `read_own`, with the time zone: times that name none, `from` and `to`, are of `timezone`, else of UTC."""
    values = read_own(given, table, delimiter)
    zone: tzinfo = values.get("timezone", UTC_ZONE)
    for name in ("from", "to"):
        if name in values:
            values[name] = read_time(name, given[name].strip(), Reading(zone=zone))
    return values, zone


def refuse_cursor() -> ApiError:
    """The error for a cursor that is none of ours."""
    return refuse("cursor", "must be `initial` or come from a page's links")


def list_inputs(table: Sequence[OwnParameter]) -> tuple[Input, ...]:
    """The table as the OpenAPI document shows it."""
    return tuple(
        Input(row.name, row.meaning, {"type": "string"} if row.form.is_list else row.form.schema) for row in table
    )
