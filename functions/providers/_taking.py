"""Takes out of an item what an event's columns give back, so that it is not kept twice.

It is done for every event, by a function that is written for the provider, as the standard library does for named
tuples: only the columns that it has are looked at, and nothing is called but methods of `dict`. Names get into it as
literals only.
"""

from collections.abc import Callable, Mapping, Sequence

from common.events import Json

Path = tuple[str, ...]  # the names that lead to a value through nested objects
# Of an item, the values of the event's own columns, and those of its mailing and of its receiver, a tuple each: the
# names of columns that would give back what the item has not, or has otherwise.
Take = Callable[..., list[str]]

_ABSENT = object()


def build_take(
    taken: Mapping[str, Path], own: Sequence[str], of_mailing: Sequence[str], of_receiver: Sequence[str]
) -> Take:
    """A function that takes out of an item what is at these paths, where it is exactly the column's value."""
    values = {
        **{name: name for name in own},
        **{name: f"mailing[{place}]" for place, name in enumerate(of_mailing)},
        **{name: f"receiver[{place}]" for place, name in enumerate(of_receiver)},
    }
    parents: dict[Path, str] = {(): "item"}
    lines = []
    for column, (*path, name) in taken.items():
        for length in range(len(path)):
            above, here = tuple(path[:length]), tuple(path[: length + 1])
            if here not in parents:
                parents[here] = f"v{len(parents)}"
                lines += [
                    f" {parents[here]} = {parents[above]}.get({here[-1]!r})",
                    f" if type({parents[here]}) is not dict: {parents[here]} = nothing",
                ]
        parent = parents[tuple(path)]
        lines += [
            f" value = {values[column]}",
            " if value is not None:",
            f"  given = {parent}.pop({name!r}, ABSENT)",
            "  if given is not value and (type(given) is not type(value) or given != value):",
            f"   if given is ABSENT: absent.append({column!r})",
            f"   else: {parent}[{name!r}] = given",
        ]
    first = f"def take(item, {', '.join(own)}, mailing, receiver):"
    code = "\n".join([first, " absent = []", *lines, " return absent"])
    names_in_code: Json = {"ABSENT": _ABSENT, "nothing": {}}
    exec(code, names_in_code)  # noqa: S102 - of literals and our own names
    take: Take = names_in_code["take"]
    return take
