"""Paths of a mapping: names with dots between, through objects and, by numbers, through lists.

`to.0.email` is the address of the first entry of `to`. A dot that belongs to a name has a backslash before it.

All paths are followed in one walk. Each has a slot in a list of values, and so has each value on its way: what paths
have in common is looked up once, and the values of one object's names by a single call.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

Steps = tuple[str, ...]
Place = tuple[int, Steps]  # a path, and the slot of the value where it begins

_DOT = re.compile(r"(?<!\\)\.")
_NUMBER = re.compile(r"[0-9]{1,5}")


class Node(NamedTuple):
    """Names of one object that are looked up, and the slots of their values."""

    source: int  # the object's slot
    first: int
    end: int
    names: Steps


def lay_out(places: Iterable[Place], free: int) -> tuple[dict[Place, int], list[Node]]:
    """The slot of each path, from `free` on, and what the walk does in its order."""
    children: dict[Place, list[str]] = {}
    for source, steps in places:
        for length, name in enumerate(steps):
            names = children.setdefault((source, steps[:length]), [])
            if name not in names:
                names.append(name)
    slots: dict[Place, int] = {(source, ()): source for source, _ in children}
    nodes: list[Node] = []
    for source, steps in sorted(children, key=lambda place: len(place[1])):
        names = children[source, steps]
        nodes.append(Node(slots[source, steps], free, free + len(names), tuple(names)))
        for name in names:
            slots[source, (*steps, name)] = free
            free += 1
    return slots, nodes


def fill(slots: list[Any], nodes: Sequence[Node]) -> None:
    """Takes the walk; the slot of a path that leads nowhere gets None, or stays as it is."""
    for source, first, end, names in nodes:
        value = slots[source]
        if type(value) is dict:
            slots[first:end] = map(value.get, names)
        elif type(value) is list:
            slots[first:end] = [_get_entry(value, name) for name in names]


def _get_entry(value: list[Any], name: str) -> Any:
    return value[int(name)] if _NUMBER.fullmatch(name) and int(name) < len(value) else None


def split_path(path: str) -> Steps:
    """The steps of a path."""
    return tuple(step.replace("\\.", ".") for step in _DOT.split(path))


def follow(value: Any, steps: Steps) -> Any:
    """The value at the end of one path, through objects only; None where there is none."""
    for name in steps:
        if type(value) is not dict:
            return None
        value = value.get(name)
    return value


def leave_out(value: Any, steps: Steps) -> Any:
    """The value without what is at a path's end; the original stays as it is."""
    name, *more = steps
    if type(value) is not dict or name not in value:
        return value
    if more:
        return value | {name: leave_out(value[name], tuple(more))}
    return {other: entry for other, entry in value.items() if other != name}


def as_list(value: Any) -> list[Any]:
    """A list of paths, also of a single one."""
    return value if type(value) is list else [value]
