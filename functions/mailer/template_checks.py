"""What is wrong with a template, found when it is saved: its form, its words, and what a made-up member makes of it."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from jinja2 import TemplateSyntaxError, nodes

from cohort_evaluator.aggregates import NUMERIC, VALUES, WHEN, Aggregate, read_aggregates
from cohort_evaluator.reading import DefinitionError, read_object
from common.addresses import AddressError, read_address
from mailer.markup import list_misplaced
from mailer.samples import INSTANT, SAMPLE, make_up
from mailer.templates import PARTS, Environment, OutOfTimeError, RenderError, limit_time, render, shorten

LONGEST: Final = {"subject": 500, "html": 150_000, "text": 150_000, "mjml": 150_000}  # characters of a template
MOST_NODES: Final = 1_000  # names, values and operations of a part
DEEPEST_LOOP: Final = 2
LONGEST_SEPARATOR: Final = 20  # characters, of join
MOST_DIGITS: Final = 10  # behind the point, of round
# What a template may ask for, and what of it; of aggregates what it declares.
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("id", "address", "traits"),
    "company": ("id", "traits"),
    "cohort": ("name", "title", "entered_at"),
    "events": (),
    "aggregates": (),
    "unsubscribe_url": (),
}
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")
_METHODS: Final = (
    *("cycle", "endswith", "get", "items", "keys", "lower", "split", "startswith", "strip", "upper", "values"),
)
_FORBIDDEN: Final[Mapping[type[nodes.Node], str]] = {
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Include: "include",
    nodes.Extends: "extends",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.Block: "block",
    nodes.AssignBlock: "a block of set",
    nodes.With: "with",
    nodes.FilterBlock: "a block of filter",
    nodes.EvalContextModifier: "autoescape",
    nodes.Pow: "**",
    nodes.Mod: "%",
    nodes.Mul: "*",
}
# What is put together of something, and put together of that again, grows without end.
_GROWING: Final = (nodes.Add, nodes.Concat, nodes.Filter, nodes.List, nodes.Tuple, nodes.Dict)
Fault = tuple[str, int]  # why, and the line


def check_template(template: object) -> None:
    """Checks `{"subject", "html", "text", "topic", "reply_to", "aggregates", "mjml"}`; the last three may be missing.

    Raises `DefinitionError`, whose place is the part and whose reason begins with its line.
    """
    given = read_object(
        template, "template", required=("subject", "html", "text", "topic"), optional=("reply_to", "aggregates", "mjml")
    )
    for name, longest in LONGEST.items():
        if name in given and not _is_text(given[name], longest):
            raise DefinitionError(name, f"is a text of 1 to {longest:,} characters")
    if type(given["topic"]) is not str or not _TOPIC.match(given["topic"]):
        raise DefinitionError("topic", "is 1 to 100 characters of a-z, 0-9 and dashes, and begins with none")
    if "reply_to" in given:
        _check_address(given["reply_to"])
    if "\n" in given["subject"].strip():
        raise DefinitionError("subject", "is one line")
    aggregates = read_aggregates(given.get("aggregates", {}))
    for part, environment in PARTS.items():
        _check_part(part, given[part], environment, [one.name for one in aggregates])
    try:
        render(given, make_up({one.name: _make_up_value(one) for one in aggregates}))
    except RenderError as failure:
        raise DefinitionError(failure.part, f"{failure.reason} (as tried with a made-up member)") from None


def _check_address(value: object) -> None:
    """As it is read when a mail is built, which would fail by it."""
    try:
        read_address(value if type(value) is str else "")
    except AddressError:
        raise DefinitionError("reply_to", "is an address, in ASCII before the @") from None


def _make_up_value(aggregate: Aggregate) -> Any:
    if aggregate.field is None or aggregate.way not in VALUES or aggregate.field.name in NUMERIC:
        return 3
    return INSTANT if aggregate.field.name == WHEN else SAMPLE


def _is_text(value: object, longest: int) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= longest
        and "\0" not in value
        and not any("\ud800" <= each <= "\udfff" for each in value)
    )


def _check_part(part: str, source: str, environment: Environment, declared: Collection[str]) -> None:
    try:
        # Compiling works constants out, so what must not be is found before.
        faults = _list_faults(environment.parse(source), {**KNOWN, "aggregates": tuple(declared)})
        if not faults:
            with limit_time():
                environment.compile(source)
                faults = list_misplaced(environment.lex(source)) if part == "html" else []
    except TemplateSyntaxError as failure:
        faults = [(shorten(failure.message or "it is not understood"), failure.lineno)]
    except RecursionError:
        faults = [("it is nested too deeply", 1)]
    except OutOfTimeError:
        faults = [("it takes too long to be read", 1)]
    except Exception as failure:  # noqa: BLE001 (what Python says of the program that Jinja makes of it)
        faults = [(f"it can't be made a program of: {type(failure).__name__}", 1)]
    for reason, line in faults:
        raise DefinitionError(part, f"line {line}: {reason}")


def _list_faults(tree: nodes.Template, known: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    """What is wrong with a template that can be parsed, with its line; what comes first in it is told first."""
    if len(found := list(tree.find_all(nodes.Expr))) > MOST_NODES:
        return [(f"there are more than {MOST_NODES:,} names, values and operations", found[-1].lineno)]
    faults = [*_list_unknown(tree, known)]
    for kind, word in _FORBIDDEN.items():
        faults += [(f"{word} can't be used here", node.lineno) for node in tree.find_all(kind)]
    for call in tree.find_all(nodes.Call):
        if not isinstance(call.node, nodes.Getattr) or call.node.attr not in _METHODS:
            faults.append((f"only these can be called: {', '.join(_METHODS)}", call.lineno))
    for assignment in tree.find_all(nodes.Assign):
        if isinstance(assignment.node, _GROWING) or any(assignment.node.find_all(_GROWING)):
            faults.append(("set takes what is there, and puts nothing together", assignment.lineno))
    faults += _list_filters(tree)
    faults += _list_loops(tree, 0)
    return sorted(faults, key=lambda fault: fault[1])


def _list_unknown(tree: nodes.Template, known: Mapping[str, tuple[str, ...]]) -> list[Fault]:
    """Names that there are not, and what is asked for that they have not."""
    faults = []
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")}
    for name in tree.find_all(nodes.Name):
        if name.ctx != "load" and name.name in known:
            faults.append((f"{name.name} can't be set", name.lineno))
        if name.ctx == "load" and name.name not in known and name.name not in own | {"loop"}:
            faults.append((f"{name.name} is unknown: there are {', '.join(known)}", name.lineno))
    getters: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for getter in getters:
        asked = getter.attr if isinstance(getter, nodes.Getattr) else getattr(getter.arg, "value", None)
        of = getter.node.name if isinstance(getter.node, nodes.Name) else ""
        if of == "aggregates" and isinstance(asked, str) and asked not in known[of]:
            there = f"there are {', '.join(known[of])}" if known[of] else "there are none"
            faults.append((f"aggregates.{asked} is not declared in aggregates: {there}", getter.lineno))
        elif known.get(of) and isinstance(asked, str) and asked not in known[of]:
            faults.append((f"{of}.{asked} is unknown: {of} has {', '.join(known[of])}", getter.lineno))
    return faults


def _list_filters(tree: nodes.Template) -> list[Fault]:
    """Filters that could make much of little: joins within others, of each entry, or with a long text; high powers."""
    faults = []
    for found in tree.find_all(nodes.Filter):
        given = [getattr(each, "value", None) for each in found.args]
        named = {each.key: getattr(each.value, "value", None) for each in found.kwargs}
        if found.dyn_args is not None or found.dyn_kwargs is not None:
            faults.append(("a filter takes no * before what it is given", found.lineno))
        if found.name == "round":
            digits = [*given[:1], *(named[name] for name in named if name == "precision")]
            if not all(type(each) is int and 0 <= each <= MOST_DIGITS for each in digits):
                faults.append((f"round takes a number of digits from 0 to {MOST_DIGITS}", found.lineno))
        if found.name == "join":
            is_short = all(isinstance(text, str) and len(text) <= LONGEST_SEPARATOR for text in given)
            is_alone = found.node is None or not any(
                inner.name == "join"
                for inner in (*found.node.find_all(nodes.Filter), found.node)
                if isinstance(inner, nodes.Filter)
            )
            if not is_short or not is_alone or len(given) > 1 or found.kwargs:
                reason = f"join takes a text of up to {LONGEST_SEPARATOR} characters, and no other join"
                faults.append((reason, found.lineno))
        if found.name == "map" and (
            not set(map(type, given)) <= {str}
            or {"join", "map"} & set(map(str, given))
            or not set(named) <= {"attribute", "default"}
        ):
            faults.append(("map takes an attribute, or the name of a filter, though not join", found.lineno))
    return faults


def _list_loops(node: nodes.Node, depth: int) -> list[Fault]:
    faults = []
    for child in node.iter_child_nodes():
        below = depth
        if isinstance(child, nodes.For):
            below += 1
            if child.recursive or below > DEEPEST_LOOP:
                faults.append((f"loops are not recursive, and at most {DEEPEST_LOOP} deep", child.lineno))
        faults += _list_loops(child, below)
    return faults
