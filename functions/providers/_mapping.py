"""Mappings: providers without code, one file each, mappings/<name>.json (docs/generic-provider.md)."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common.events import Json
from providers import NAME, list_providers
from providers._mapped import MappedProvider
from providers._mapped_times import load_zone
from providers._mapping_checks import find_problems

FOLDER = Path(__file__).parent / "mappings"


class MappingError(ValueError):
    """A mapping is wrong; the message has a line for each problem, with its place."""


def find_mapped(name: str) -> MappedProvider | None:
    """The provider of the mapping of this name, or None. Raises `MappingError`."""
    path = FOLDER / f"{name}.json"
    return MappedProvider(name, load_mapping(path)) if path.is_file() else None


def load_mapping(path: Path) -> Json:
    """The mapping of a file whose form is right. Raises `MappingError`."""
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=_refuse_repeated)
    except json.JSONDecodeError as failure:
        raise MappingError(f"{path.name}: line {failure.lineno}, column {failure.colno}: {failure.msg}") from None
    except UnicodeDecodeError:
        raise MappingError(f"{path.name}: write it in UTF-8") from None
    except ValueError as problem:
        raise MappingError(f"{path.name}: {problem}") from None
    problems = find_problems(document)
    if problems:
        raise MappingError("\n".join(f"{path.name}: {problem}" for problem in problems))
    checked: Json = document
    return checked


def check_mapping(path: Path) -> MappedProvider:
    """The provider of a file, checked for all that can be known before a webhook comes. Raises `MappingError`."""
    name = path.stem
    if not NAME.fullmatch(name):
        raise MappingError(f"{path.name}: name it <name>.json, of a-z, 0-9 and _, beginning with a letter")
    if name in list_providers():
        raise MappingError(f"{path.name}: there is a module of this name, which comes first; take another name")
    mapping = load_mapping(path)
    time = mapping["time"]
    try:
        if "zone" in time:
            load_zone(time["zone"])
        if "%" in time["format"]:
            _try_format(time["format"])
    except ValueError as problem:
        raise MappingError(f"{path.name}: {problem}") from None
    return MappedProvider(name, mapping)


def _try_format(form: str) -> None:
    """Raises `ValueError` where strptime does not know the format."""
    sample = datetime(2026, 11, 21, 9, 30, 5, tzinfo=UTC)
    try:
        datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007
    except ValueError:
        raise ValueError(f"time.format: strptime does not know {form!r}; see Python's format codes") from None


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> Json:
    found: Json = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {name!r} is there twice in one object; keep one")
        found[name] = value
    return found
