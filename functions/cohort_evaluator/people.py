"""What is told of users and companies: their names, addresses and traits."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from psycopg2.extensions import cursor as Cursor

from cohort_evaluator.reading import DefinitionError, read_zone
from common.json_text import decode_json

ZONES: Final = ("metadata.timezone", "metadata.time_zone", "geo_ip.timezone")  # traits that may name a time zone
NAMES: Final = """
SELECT i.person_id, i.identity_type, i.value, l.at
FROM identities i
LEFT JOIN LATERAL (SELECT max(at) AS at FROM identity_links
                   WHERE from_id = i.identity_id AND rule = 'last') AS l ON true
WHERE i.person_id = ANY (%s) ORDER BY l.at DESC NULLS LAST, i.value
"""
# Of each path the newest write; a write above hides what is older beneath.
TRAITS: Final = """
SELECT DISTINCT ON (i.person_id, w.path) i.person_id, w.path, w.at, w.value
FROM identities i JOIN trait_writes w USING (identity_id)
WHERE i.person_id = ANY (%s)
ORDER BY i.person_id, w.path, w.at DESC, w.value COLLATE "C" DESC
"""


class Subject(NamedTuple):
    """A user or a company."""

    name: str  # the user's id, else the anonymous one, else the address; the company's id
    addresses: list[str]  # the last one that the user named comes first
    traits: dict[str, Any]


def read_subjects(cursor: Cursor, subject_ids: Sequence[int]) -> dict[int, Subject]:
    """What is known of each."""
    names: dict[int, dict[str, list[str]]] = {}
    cursor.execute(NAMES, (list(subject_ids),))
    for subject_id, kind, value, _ in cursor.fetchall():
        names.setdefault(subject_id, {}).setdefault(kind, []).append(value)
    writes: dict[int, list[tuple[Any, list[str], Any]]] = {}
    cursor.execute(TRAITS, (list(subject_ids),))
    for subject_id, path, at, value in cursor.fetchall():
        writes.setdefault(subject_id, []).append((at, path, decode_json(value.encode())))
    return {
        subject_id: Subject(
            next((min(found[kind]) for kind in ("company", "user", "anonymous", "address") if kind in found), ""),
            found.get("address", []),
            build_traits(writes.get(subject_id, [])),
        )
        for subject_id, found in names.items()
    }


def build_traits(writes: list[tuple[Any, list[str], Any]]) -> dict[str, Any]:
    """Traits of (time, path, value): the older ones first, so that a newer one above or beneath replaces them."""
    traits: dict[str, Any] = {}
    for _, path, value in sorted(writes, key=lambda write: (write[0], write[1])):
        inner = traits
        for part in path[:-1]:
            below = inner.get(part)
            if not isinstance(below, dict):
                below = inner[part] = {}
            inner = below
        inner[path[-1]] = value
    return traits


def find_trait(traits: dict[str, Any], path: str) -> Any:
    """The trait at a path with dots; None where there is none."""
    value: Any = traits
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def find_zone(traits: dict[str, Any]) -> ZoneInfo | None:
    """The time zone that the traits name; None where they name none that is known."""
    for path in ZONES:
        if (name := find_trait(traits, path)) is not None:
            try:
                return read_zone(name, path)
            except DefinitionError:
                continue
    return None
