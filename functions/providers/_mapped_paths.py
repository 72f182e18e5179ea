"""Paths of a mapping: names with dots between, through objects and, by numbers, through lists.

`to.0.email` is the address of the first entry of `to`. A dot that belongs to a name has a backslash before it.

All paths are followed by one function that is written for the mapping, as the standard library does for named tuples:
what paths have in common is looked up once, and nothing is called but `dict.get`. Names get into it as literals only.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

Steps = tuple[str, ...]
Place = tuple[int, Steps]  # where a path begins, and its steps
Choices = Sequence[Place]  # the first one that leads to a value counts; there may be none

# Where paths begin: at the item, at an entry of its list of recipients, at what is around it.
ITEM, ENTRY, OUTSIDE = range(3)

_DOT = re.compile(r"(?<!\\)\.")
_NUMBER = re.compile(r"[0-9]{1,5}")


def build_take(*groups: Sequence[Choices]) -> Callable[[Any, Any, Any], Any]:
    """A function of an item, an entry and what is around the item, which gives a tuple of values for each group."""
    children: dict[Place, list[str]] = {}
    for source, steps in (place for group in groups for choices in group for place in choices):
        for length, name in enumerate(steps):
            names = children.setdefault((source, steps[:length]), [])
            if name not in names:
                names.append(name)
    variables: dict[Place, str] = {(source, ()): f"v{source}" for source in (ITEM, ENTRY, OUTSIDE)}
    lines = []
    for source, steps in sorted(children, key=lambda place: len(place[1])):
        names, parent = children[source, steps], variables[source, steps]
        for name in names:
            variables[source, (*steps, name)] = f"v{len(variables)}"
        targets = [variables[source, (*steps, name)] for name in names]
        lines += [
            f" if type({parent}) is dict:",
            f"  get = {parent}.get",
            *[f"  {target} = get({name!r})" for target, name in zip(targets, names, strict=True)],
            f" elif type({parent}) is list:",
            *[f"  {target} = get_entry({parent}, {name!r})" for target, name in zip(targets, names, strict=True)],
            " else:",
            f"  {' = '.join(targets)} = None",
        ]

    def show(choices: Choices) -> str:
        *others, last = [variables[place] for place in choices] or ["None"]
        return "".join(f"{one} if {one} is not None and {one} != '' else " for one in others) + last

    results = [f"({''.join(f'{show(choices)}, ' for choices in group)})" for group in groups]
    code = "\n".join(["def take(v0, v1, v2):", *lines, f" return {', '.join(results)},"])
    names_in_code: dict[str, Any] = {"get_entry": _get_entry}
    exec(code, names_in_code)  # noqa: S102 - of literals and our own names
    take: Callable[[Any, Any, Any], Any] = names_in_code["take"]
    return take


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
