"""From the query of a request to the values of the search's parameters."""

import difflib
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo
from typing import Final, NamedTuple, cast

from pypika.terms import Not

from common.errors import ApiError
from common.settings import read_text
from query_events.conditions import Condition, coalesce
from query_events.parameters import METADATA, NEGATION, PARAMETERS, PREFIX, Dialect, Parameter
from query_events.values import DELIMITER, Entry, Reading, read_beginnings, read_ordered_beginnings, refuse, suggest

MISSING: Final = "1401"  # SparkPost's code for a missing parameter
REFUSE: Final = "refuse"
NEARLY: Final = 0.85  # how like one of our own names an unknown one is that was meant to be it

_NAME = re.compile(r"(not\.)?(prefix\.)?(?:metadata\.(.+)|(.+))", re.DOTALL)
_ROWS: Final = {name: row for row in PARAMETERS.values() for name in (row.name, *row.aliases)}
_OURS: Final = [row.name for row in PARAMETERS.values() if row.ours]


class Asked(NamedTuple):
    """What a parameter's name asks for."""

    row: Parameter
    negated: bool = False
    prefix: bool = False
    key: str = ""  # of metadata

    @property
    def name(self) -> str:
        """The one name for all its spellings."""
        name = f"metadata.{self.key}" if self.key else self.row.name
        return NEGATION * self.negated + PREFIX * self.prefix + name

    @property
    def condition(self) -> Condition | None:
        """What it asks of a row of its filter's table; the negation of what is not known (NULL) is true."""
        if self.row.filter is None:
            return None
        condition = self.row.filter.begins if self.prefix else self.row.filter.holds
        if condition is None or not self.negated:
            return condition
        return lambda name: Not(coalesce(condition(name), False))

    def read(self, name: str, text: str, reading: Reading) -> object:
        """The value to bind. Raises `ApiError` with the name as it was given."""
        if not self.prefix:
            value = self.row.form.read(name, text, reading)
        else:
            ordered = self.row.filter is not None and self.row.filter.ordered
            value = (read_ordered_beginnings if ordered else read_beginnings)(name, text, reading)
            value = Entry(value) if self.key and isinstance(value, list) else value
        return value._replace(key=self.key) if isinstance(value, Entry) else value


def recognise(name: str) -> Asked | None:
    """What a name asks for, None if it is unknown. Raises `ApiError` where it is nearly one of our own."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    negation, prefix, key, base = match.groups("")
    row = PARAMETERS[METADATA] if key else _ROWS.get(base)
    if row is None:
        if negation or prefix or base.startswith("metadata") or difflib.get_close_matches(base, _OURS, 1, NEARLY):
            raise refuse(name, f"is unknown: {suggest(base, [*_ROWS])}")
        return None
    if negation + prefix not in ("", *row.forms):
        possible = [row.name, *(before + row.name for before in row.forms)]
        raise refuse(name, f"is not possible, {' and '.join(possible)} {'is' if len(possible) == 1 else 'are'}")
    return Asked(row, bool(negation), bool(prefix), key.replace("\0", "\ufffd"))


def join_repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The query's parameters by name. A list given more than once is one list; of others the last counts."""
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    delimiter = texts.get("delimiter", [""])[-1] or DELIMITER
    return {
        name: delimiter.join(given) if len(given) > 1 and _is_list(name) else given[-1] for name, given in texts.items()
    }


def _is_list(name: str) -> bool:
    try:
        asked = recognise(name)
    except ApiError:
        return False
    return asked is not None and asked.row.form.is_list


def read_parameters(given: Mapping[str, str], dialect: Dialect = Dialect.EVENTS) -> dict[str, object]:
    """The values of the known parameters by their one name, those that are empty left out. Raises `ApiError`.

    Unknown ones are ignored, as SparkPost does, unless the setting UNKNOWN_PARAMETERS says otherwise.
    """
    asked: dict[str, Asked] = {}
    texts: dict[str, list[tuple[str, str]]] = {}
    for name, text in given.items():
        found = recognise(name)
        if found is None:
            if read_text("UNKNOWN_PARAMETERS", "ignore") == REFUSE:
                raise refuse(name, f"is unknown: {suggest(name, [*_ROWS])}")
        elif dialect in found.row.dialects and (text.strip() or found.row.name == "delimiter"):
            asked[found.name] = found
            texts.setdefault(found.name, []).append((name, text))
    reading = _find_reading(texts)
    values: dict[str, object] = {}
    for name, found in asked.items():
        if found.row.form.is_list:
            text = reading.delimiter.join(text for _, text in texts[name])
            if text.replace(reading.delimiter, "").strip():
                values[name] = found.read(texts[name][-1][0], text, reading)
        else:
            values[name] = found.read(*_last(texts[name]), reading)
    for name, found in asked.items():
        if found.row.needs and not any(needed in values for needed in found.row.needs):
            raise ApiError(400, "Missing parameter", f"{name} needs {found.row.needs[0]}", MISSING)
    return values


def _last(texts: list[tuple[str, str]]) -> tuple[str, str]:
    name, text = texts[-1]
    return name, text.strip() if name != "delimiter" else text


def _find_reading(texts: Mapping[str, list[tuple[str, str]]]) -> Reading:
    zone: tzinfo = UTC
    if "timezone" in texts:
        row = PARAMETERS["timezone"]
        zone = cast("tzinfo", row.form.read(*_last(texts["timezone"]), Reading()))
    return Reading(texts.get("delimiter", [("", "")])[-1][1] or DELIMITER, zone)
