"""From an item of a mapped provider to its columns: the mapping's paths are laid out once, and walked for each item."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from common.events import BLOCK, BOUNCED, HARD, SOFT, UNDETERMINED, UNKNOWN, Json, Kind
from providers._events import CACHED, VALUES, Columns, read_address
from providers._fields import TEXT_OR_ABSENT, hash_canonical, read_text
from providers._mapped_paths import ENTRY, ITEM, OUTSIDE, Place, as_list, build_take, leave_out, split_path
from providers._mapped_times import build_read_time
from providers._mapping_checks import COLUMNS, ENVELOPE, QUERY
from providers._smtp import read_smtp

# Where an item keeps what was around it, and there what it has itself under that name.
AROUND, OWN = "(around)", "(own)"
LONGEST_WORD = 200  # characters of the provider's word for a type

UNSAID, NO_REPLY = (None, None, None), (None, None)


class ItemReader:
    """Reads items of one provider."""

    def __init__(self, provider: str, mapping: Json) -> None:
        columns, kind, time, ids = mapping["columns"], mapping.get("kind", {}), mapping["time"], mapping.get("id")
        parts = mapping["type"]["parts"]
        spoken = {name: entry for name, entry in kind.items() if "words" in entry}
        lists = {path.partition("[]")[0] for path in as_list(columns.get("recipient", [])) if "[]" in path}
        wanted = {
            **{COLUMNS[name]: as_list(paths) for name, paths in columns.items()},
            "time": as_list(time["at"]),
            "id": as_list(ids) if ids and type(ids) is not dict else [],
            **{f"word {number}": [path] for number, path in enumerate(parts)},
            **{f"word {name}": as_list(entry["at"]) for name, entry in spoken.items()},
            **{f"reply {name}": as_list(kind[name]["at"]) for name in ("smtp_code", "enhanced_status") if name in kind},
            "list": list(lists),
        }
        around = {QUERY} if mapping["body"].get("query") else set()
        if {"items", "field"} & set(mapping["body"]):
            around.add(ENVELOPE)
        places = {name: [_find_place(path, around) for path in paths] for name, paths in wanted.items()}
        self._take = build_take(
            [places.get(name, []) for name in VALUES],
            [several for name, several in places.items() if name.startswith("word ")],
            [places.get(name, []) for name in ("reason", "reply smtp_code", "reply enhanced_status")],
            [places["time"], places["id"], places.get("recipient", [])],
        )
        self._take_list = build_take([places["list"]]) if lists else None
        self._time_at, self._time_format = " or ".join(as_list(time["at"])), time["format"]
        self._type_at = parts[0]
        self._read_time = build_read_time(time["format"], time.get("zone"))
        volatile = [split_path(path) for path in mapping.get("volatile", ())]
        self._volatile_names = [AROUND, *(steps[0] for steps in volatile if len(steps) == 1)]
        self._volatile_paths = [steps for steps in volatile if len(steps) > 1]
        kinds = _KindFinder(provider, mapping["type"]["words"], len(parts), spoken)
        self._find_kind = lru_cache(CACHED)(kinds.find)

    def read(self, around: Json, batch_id: str, item: Json) -> Columns | Sequence[Columns] | None:
        """The columns of an item's events; None if it is none. Raises `ValueError`."""
        if self._take_list is None:
            return self._read_one(item, None, around, batch_id, None)
        ((entries,),) = self._take_list(item, None, around)
        if type(entries) is not list or len(entries) < 2:
            entry = entries[0] if type(entries) is list and entries else entries
            return self._read_one(item, entry, around, batch_id, 0)
        found = [self._read_one(item, entry, around, batch_id, number) for number, entry in enumerate(entries)]
        return [columns for columns in found if columns is not None]

    def _read_one(self, item: Json, entry: Any, around: Json, batch_id: str, number: int | None) -> Columns | None:
        columns, words, reply, (time, event_id, recipient) = self._take(item, entry, around)
        if not TEXT_OR_ABSENT.issuperset(map(type, words)):
            words = tuple(map(_read_word, words))
        if not words[0]:
            raise ValueError(f"the event has no type at {self._type_at}")
        kind = self._find_kind(words, *(NO_REPLY if reply == UNSAID else _read_reply(*reply)))
        if kind is None:
            return None
        if time is None:
            raise ValueError(f"the event has no time at {self._time_at}")
        try:
            instant = self._read_time(time)
        except ValueError:
            raise ValueError(f"the time at {self._time_at} is not of the form {self._time_format}") from None
        event_id = read_text(event_id) or batch_id or self._hash(item, around)
        if number is not None:  # each recipient's is another event
            event_id = f"{event_id}/{read_address(recipient) or number}"
        return instant, event_id, kind, *columns

    def _hash(self, item: Json, around: Json) -> str:
        """What is around the events differs from batch to batch, and is not hashed; the URL's query stays the same."""
        item = item.copy()
        for name in self._volatile_names:
            item.pop(name, None)
        for steps in self._volatile_paths:
            item = leave_out(item, steps)
        return hash_canonical([item, around[QUERY]] if QUERY in around else item)


class _KindFinder:
    """The kind of the provider's words: those of the type, then those of the attributes."""

    def __init__(self, provider: str, types: Json, parts: int, spoken: Json) -> None:
        self._provider = provider
        self._types = types
        self._parts = parts
        self._attributes = [(name, entry["words"]) for name, entry in spoken.items()]

    def find(self, words: tuple[str | None, ...], code: int | None, status: str | None) -> Kind | None:
        """The kind, or None where the words say that it is no event."""
        row, provider_type = self._find_row([word for word in words[: self._parts] if word])
        if row is None:
            return None
        attributes = dict(row) if type(row) is dict else {"type": row}
        event_type = attributes.pop("type")
        for (name, ours), word in zip(self._attributes, words[self._parts :], strict=True):
            if word in ours:
                attributes[name] = ours[word]
        if event_type == BOUNCED:
            attributes.setdefault("bounce_kind", _guess_bounce_kind(code, status or ""))
        return Kind(
            self._provider,
            provider_type[:LONGEST_WORD],
            event_type,
            smtp_code=code,
            enhanced_status=status,
            **attributes,
        )

    def _find_row(self, words: Sequence[str]) -> tuple[Any, str]:
        """Of the words together, else of the first ones of them; and all of them together."""
        together = "/".join(words)
        for length in range(len(words), 0, -1):
            begin = "/".join(words[:length])
            if begin in self._types:
                return self._types[begin], together
        return UNKNOWN, together


def _guess_bounce_kind(code: int | None, status: str) -> str:
    """By the reply, where no word says it. A permanent reply alone may be a block: it is no hard bounce."""
    if (status or str(code)).startswith("4"):
        return SOFT
    if status.startswith("5.1."):
        return HARD
    return BLOCK if status.startswith("5.7.") else UNDETERMINED


def _read_reply(reason: Any, code: Any, status: Any) -> tuple[int | None, str | None]:
    """Code and enhanced status: from fields of their own, else from the words."""
    smtp_code, enhanced_status = read_smtp(reason)
    if code is not None:
        smtp_code = read_smtp(read_text(code))[0] or smtp_code
    if status is not None:
        enhanced_status = read_smtp(status)[1] or enhanced_status
    return smtp_code, enhanced_status


def _read_word(value: Any) -> str | None:
    if type(value) is bool:
        return "true" if value else "false"
    return read_text(value)


def _find_place(path: str, around: set[str]) -> Place:
    """Where a path begins, and its steps."""
    before, is_list, after = path.partition("[]")
    if is_list:
        return ENTRY, split_path(after.removeprefix(".")) if after else ()
    steps = split_path(before)
    return (OUTSIDE if steps[0] in around else ITEM), steps
