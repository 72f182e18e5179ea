"""Small checks of which the form of a mapping is made; each adds what is wrong to the problems, with its place."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from providers._mapped_paths import split_path

Check = Callable[[Any, str, list[str]], None]  # a value, where it is, the problems found so far

SHOWN = 60  # characters of a value in a message

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def show(value: object) -> str:
    """A value as a message has it."""
    return "an object" if type(value) is dict else "a list" if type(value) is list else json.dumps(value)[:SHOWN]


def suggest(word: object, known: Collection[str]) -> str:
    """The end of a sentence: what may have been meant."""
    import difflib  # only where something is wrong

    near = difflib.get_close_matches(str(word)[:SHOWN], known, 1, 0.6)
    return f"did you mean {near[0]!r}?" if near else f"write one of {', '.join(sorted(known))}"


def is_text(value: Any, place: str, problems: list[str]) -> None:
    """A text that is not empty."""
    if type(value) is not str or not value:
        problems.append(f"{place}: write a text, not {show(value)}")


def is_flag(value: Any, place: str, problems: list[str]) -> None:
    """True or false."""
    if type(value) is not bool:
        problems.append(f"{place}: write true or false, not {show(value)}")


def is_header(value: Any, place: str, problems: list[str]) -> None:
    """A header's name, in either case."""
    if type(value) is not str or not _HEADER.fullmatch(value):
        problems.append(f"{place}: write the name of a header, as in X-Signature, not {show(value)}")


def is_path(value: Any, place: str, problems: list[str]) -> None:
    """A dotted path."""
    if type(value) is not str:
        problems.append(f"{place}: write a path, as in data.email, not {show(value)}")
        return
    steps = split_path(value)
    if not all(step.removesuffix("[]") for step in steps):
        problems.append(f"{place}: the path {show(value)} has an empty name between its dots")
    elif sum(step.endswith("[]") for step in steps) > 1:
        problems.append(f"{place}: the path {show(value)} goes through more than one list; one [] may be in it")


def is_paths(value: Any, place: str, problems: list[str]) -> None:
    """A path, or a list of them, of which the first that leads to a value counts."""
    if type(value) is not list:
        is_path(value, place, problems)
    elif not value:
        problems.append(f"{place}: the list of paths is empty; write a path, or leave {place} out")
    else:
        for number, path in enumerate(value):
            is_path(path, f"{place}[{number}]", problems)


def one_of(known: Collection[str]) -> Check:
    """One of these words."""

    def check(value: Any, place: str, problems: list[str]) -> None:
        if type(value) is not str or value not in known:
            problems.append(f"{place}: {show(value)} is not known here; {suggest(value, known)}")

    return check


def several(check_one: Check) -> Check:
    """A list that is not empty."""

    def check(value: Any, place: str, problems: list[str]) -> None:
        if type(value) is not list or not value:
            problems.append(f"{place}: write a list with at least one entry, not {show(value)}")
            return
        for number, entry in enumerate(value):
            check_one(entry, f"{place}[{number}]", problems)

    return check


def whole_number(smallest: int, largest: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, place: str, problems: list[str]) -> None:
        if type(value) is not int or not smallest <= value <= largest:
            problems.append(f"{place}: write a whole number from {smallest} to {largest}, not {show(value)}")

    return check


def table(needed: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with these names and no others."""
    known = {**needed, **optional}

    def check(value: Any, place: str, problems: list[str]) -> None:
        if type(value) is not dict:
            problems.append(f"{place or 'the mapping'}: write an object, not {show(value)}")
            return
        for name, entry in value.items():
            inner = f"{place}.{name}" if place else name
            if name in known:
                known[name](entry, inner, problems)
            else:
                problems.append(f"{inner}: there is no such setting; {suggest(name, known)}")
        problems += [f"{place or 'the mapping'}: {name} is missing; add it" for name in needed if name not in value]

    return check


def words(check_one: Check) -> Check:
    """An object from the provider's words to ours."""

    def check(value: Any, place: str, problems: list[str]) -> None:
        if type(value) is not dict or not value:
            problems.append(f"{place}: write an object from the provider's words to ours, not {show(value)}")
            return
        for word, ours in value.items():
            check_one(ours, f"{place}[{word!r}]", problems)

    return check
