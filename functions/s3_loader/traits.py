"""Traits of users and companies, merged so that any order of arrival ends alike.

Of each path the newest write is kept, with its time, also where it no longer shows: a value replaces what an older
write put beneath or above it. `{"a": 1}` is one write, of path ["a"]; so is `{"a": {}}`; `{"a": {"b": 1, "c": 2}}` is
two.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from common.activities import COMPANY, Identity, Profile
from common.events import Json
from common.json_text import decode_json, encode_json
from providers._fields import clean
from sources._fields import LONGEST_ID

Writes = dict[str, list[Any]]  # path as JSON → microseconds since 1970, value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COMPANY_PATH: Final = ("company_id",)  # of the trait that says which company a user is of
DEEPEST = 20  # objects within objects; what is deeper is one value


def list_writes(traits: Mapping[str, object], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """The paths that traits write, each with its value."""
    for name, value in traits.items():
        here = (*path, name)
        if isinstance(value, dict) and value and len(here) < DEEPEST:
            yield from list_writes(value, here)
        else:
            yield here, value


def find_company(profile: Profile) -> Identity | None:
    """The company that a user is said to be of; None where none is named."""
    company = clean(profile.traits).get(COMPANY_PATH[0])
    if profile.identity.identity_type == COMPANY or type(company) is not str or not 0 < len(company) <= LONGEST_ID:
        return None
    return Identity(COMPANY, company)


def merge_writes(writes: Writes, traits: Mapping[str, object], at: datetime) -> None:
    """Adds what was written at a time. Of writes of one path at one time the greater JSON counts."""
    since = at - EPOCH
    instant = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    for path, value in list_writes(traits):
        key = encode_json(path).decode()
        known = writes.get(key)
        if known is None or (known[0], encode_json(known[1])) < (instant, encode_json(value)):
            writes[key] = [instant, value]


def build_traits(writes: Writes) -> Json:
    """What shows of the writes: those that no newer one above, and none as new beneath, has replaced."""
    paths = {tuple(decode_json(key.encode())): write for key, write in writes.items()}
    newest_beneath: dict[tuple[str, ...], int] = {}
    for path, (instant, _) in paths.items():
        for length in range(1, len(path)):
            above = path[:length]
            newest_beneath[above] = max(newest_beneath.get(above, instant), instant)
    traits: Json = {}
    for path, (instant, value) in sorted(paths.items()):
        above = max(
            (paths[path[:length]][0] for length in range(1, len(path)) if path[:length] in paths), default=instant
        )
        if above > instant or newest_beneath.get(path, instant - 1) >= instant:
            continue
        inner = traits
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    return traits
