"""Templates of behavioural mails: checked when they are saved, rendered for one member when a mail is due.

Jinja in its sandbox, without what could run on for ever or grow without end; HTML is escaped. Whatever is wrong names
the part and its line, in the template's own words: what is known of a person reaches no error.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, Final, NamedTuple

from jinja2 import ChainableUndefined, StrictUndefined, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cohort_evaluator.reading import DefinitionError, read_object

LONGEST: Final = {"subject": 500, "html": 150_000, "text": 150_000, "mjml": 150_000}  # characters of a template
LARGEST: Final = 1_000_000  # characters of a rendered part; Gmail cuts at a tenth of it
LONGEST_SUBJECT: Final = 250  # characters, rendered
PATIENCE: Final = 5.0  # seconds for one part
DEEPEST_LOOP: Final = 2
LONGEST_SEPARATOR: Final = 20  # characters, of join
# What a template may ask for, and what of it.
KNOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("id", "address", "traits"),
    "company": ("id", "traits"),
    "cohort": ("name", "title", "entered_at"),
    "events": (),
    "aggregates": (),
    "unsubscribe_url": (),
}
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")
_ADDRESS = re.compile(r"[!-~]{1,64}@[A-Za-z0-9.-]{1,255}\Z")
# Text made from data could grow without end, and what is told must be the same each time.
_FORBIDDEN_FILTERS: Final = (
    "attr",
    "batch",
    "center",
    "format",
    "indent",
    "pprint",
    "random",
    "replace",
    "slice",
    "wordwrap",
)
_METHODS: Final = (
    "cycle",
    "endswith",
    "get",
    "items",
    "keys",
    "lower",
    "split",
    "startswith",
    "strip",
    "upper",
    "values",
)
_FORBIDDEN: Final = {
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
    nodes.Pow: "**",
    nodes.Mod: "%",
    nodes.Mul: "*",
}


class Rendered(NamedTuple):
    """A mail for one member."""

    subject: str  # one line
    html: str
    text: str


class RenderError(Exception):
    """Why a template can't be rendered for somebody; its text holds nothing of her."""


class _Missing(StrictUndefined, ChainableUndefined):
    """What is not there: nothing can be done with it, but a default can stand for it, and for what would be in it."""

    __slots__ = ()


class _Environment(ImmutableSandboxedEnvironment):
    """Fields of data come before the methods of what holds them: `user.traits.items` is a trait."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What is behind a dot."""
        return self.getitem(obj, attribute) if isinstance(obj, dict) else super().getattr(obj, attribute)


def _make_environment(*, autoescape: bool) -> _Environment:
    environment = _Environment(undefined=_Missing, autoescape=autoescape, finalize=_refuse_nothing)
    environment.globals.clear()
    for name in _FORBIDDEN_FILTERS:
        del environment.filters[name]
    return environment


def _refuse_nothing(value: Any) -> Any:
    """A field that is there and null is no text either. Raises `UndefinedError`."""
    if value is None:
        raise UndefinedError("it is null")
    return value


_TEXT: Final = _make_environment(autoescape=False)
_HTML: Final = _make_environment(autoescape=True)
_PARTS: Final = {"subject": _TEXT, "html": _HTML, "text": _TEXT}


def check_template(template: object) -> None:
    """Checks `{"subject", "html", "text", "topic", "reply_to", "mjml"}`; the last two may be missing.

    Raises `DefinitionError`, whose place is the part and whose reason begins with its line.
    """
    given = read_object(
        template, "template", required=("subject", "html", "text", "topic"), optional=("reply_to", "mjml")
    )
    for name, longest in LONGEST.items():
        if name in given and not _is_text(given[name], longest):
            raise DefinitionError(name, f"is a text of 1 to {longest:,} characters")
    if type(given["topic"]) is not str or not _TOPIC.match(given["topic"]):
        raise DefinitionError("topic", "is 1 to 100 characters of a-z, 0-9 and dashes, and begins with none")
    if "reply_to" in given and (type(given["reply_to"]) is not str or not _ADDRESS.match(given["reply_to"])):
        raise DefinitionError("reply_to", "is an address in ASCII")
    if "\n" in given["subject"].strip():
        raise DefinitionError("subject", "is one line")
    for part, environment in _PARTS.items():
        _check_part(part, given[part], environment)


def render(template: Mapping[str, Any], context: Mapping[str, Any]) -> Rendered:
    """A template that has been checked, for one member; see `KNOWN` for the context. Raises `RenderError`."""
    subject, html, text = (_render_part(part, template[part], _PARTS[part], context) for part in _PARTS)
    line = " ".join("".join(each if each.isprintable() else " " for each in subject).split())
    if not line:
        raise RenderError("subject: it is empty")
    return Rendered(line[:LONGEST_SUBJECT], html, text)


def make_context(body: Mapping[str, Any], unsubscribe_url: str) -> dict[str, Any]:
    """What a template may ask for, of a mail of the outbox."""
    notification = body["notification"]
    return {
        "user": body["user"],
        "company": body.get("company"),
        "cohort": {
            "name": notification["cohort"],
            "title": notification["cohort_title"],
            "entered_at": body.get("entered_at"),
        },
        "events": body.get("events") or [],
        "aggregates": body.get("aggregates") or {},
        "unsubscribe_url": unsubscribe_url,
    }


def _is_text(value: object, longest: int) -> bool:
    return (
        type(value) is str
        and 0 < len(value) <= longest
        and "\0" not in value
        and not any("\ud800" <= each <= "\udfff" for each in value)
    )


def _check_part(part: str, source: str, environment: _Environment) -> None:
    try:
        # Compiling works constants out, so what must not be is found before.
        for reason, line in _list_faults(environment.parse(source)):
            raise DefinitionError(part, f"line {line}: {reason}")
        environment.compile(source)
    except TemplateSyntaxError as failure:
        raise DefinitionError(
            part, f"line {failure.lineno}: {_cut(failure.message or 'it is not understood')}"
        ) from None
    except RecursionError:
        raise DefinitionError(part, "line 1: it is nested too deeply") from None


def _list_faults(tree: nodes.Template) -> list[tuple[str, int]]:
    """What is wrong with a template that can be parsed, with its line; what comes first in it is told first."""
    faults: list[tuple[str, int]] = []
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx in ("store", "param")}
    for name in tree.find_all(nodes.Name):
        if name.ctx != "load" and name.name in KNOWN:
            faults.append((f"{name.name} can't be set", name.lineno))
        if name.ctx == "load" and name.name not in KNOWN and name.name not in own | {"loop"}:
            faults.append((f"{name.name} is unknown: there are {', '.join(KNOWN)}", name.lineno))
    getters: list[nodes.Getattr | nodes.Getitem] = [*tree.find_all(nodes.Getattr), *tree.find_all(nodes.Getitem)]
    for getter in getters:
        asked = getter.attr if isinstance(getter, nodes.Getattr) else getattr(getter.arg, "value", None)
        of = getter.node.name if isinstance(getter.node, nodes.Name) else ""
        if KNOWN.get(of) and isinstance(asked, str) and asked not in KNOWN[of]:
            faults.append((f"{of}.{asked} is unknown: {of} has {', '.join(KNOWN[of])}", getter.lineno))
    for kind, word in _FORBIDDEN.items():
        faults += [(f"{word} can't be used here", node.lineno) for node in tree.find_all(kind)]
    for call in tree.find_all(nodes.Call):
        if not isinstance(call.node, nodes.Getattr) or call.node.attr not in _METHODS:
            faults.append((f"only these can be called: {', '.join(_METHODS)}", call.lineno))
    for assignment in tree.find_all(nodes.Assign):
        if any(assignment.find_all((nodes.Add, nodes.Concat, nodes.Filter, nodes.For))):
            faults.append(("set takes what is there, and puts nothing together", assignment.lineno))
    faults += _list_joins(tree)
    faults += _list_loops(tree, 0)
    return sorted(faults, key=lambda fault: fault[1])


def _list_joins(tree: nodes.Template) -> list[tuple[str, int]]:
    """Joins that could make much of little: one within another, or with a long text between."""
    faults = []
    for join in tree.find_all(nodes.Filter):
        if join.name == "join":
            given = [getattr(each, "value", None) for each in join.args]
            is_short = all(isinstance(text, str) and len(text) <= LONGEST_SEPARATOR for text in given)
            is_alone = join.node is None or not any(
                inner.name == "join"
                for inner in (*join.node.find_all(nodes.Filter), join.node)
                if isinstance(inner, nodes.Filter)
            )
            if not is_short or not is_alone or len(given) > 1 or join.kwargs:
                faults.append(
                    (f"join takes a text of up to {LONGEST_SEPARATOR} characters, and no other join", join.lineno)
                )
    return faults


def _list_loops(node: nodes.Node, depth: int) -> list[tuple[str, int]]:
    faults = []
    for child in node.iter_child_nodes():
        below = depth
        if isinstance(child, nodes.For):
            below += 1
            if child.recursive or below > DEEPEST_LOOP:
                faults.append((f"loops are not recursive, and at most {DEEPEST_LOOP} deep", child.lineno))
        faults += _list_loops(child, below)
    return faults


def _render_part(part: str, source: str, environment: _Environment, context: Mapping[str, Any]) -> str:
    try:
        return "".join(_limit(part, environment.from_string(source).generate(context)))
    except RenderError:
        raise
    except Exception as failure:  # noqa: BLE001 (whatever data makes of a template)
        raise RenderError(_explain(part, source, failure)) from None


def _limit(part: str, pieces: Iterable[str]) -> Iterator[str]:
    deadline, size = monotonic() + PATIENCE, 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST or monotonic() > deadline:
            raise RenderError(f"{part}: it has more than {LARGEST:,} characters, or takes more than {PATIENCE:.0f} s")
        yield piece


def _explain(part: str, source: str, failure: Exception) -> str:
    """The line of a template that failed, in the template's words: those of the failure may hold data."""
    if isinstance(failure, TemplateSyntaxError):
        return f"{part}, line {failure.lineno}: it is not understood"
    line, trace = 0, failure.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    words: dict[type[Exception], str] = {
        UndefinedError: "something is missing, or null, of this member",
        SecurityError: "that may not be asked for",
    }
    reason = next((text for kind, text in words.items() if isinstance(failure, kind)), type(failure).__name__)
    lines = source.splitlines()
    shown = _cut(lines[line - 1].strip()) if 0 < line <= len(lines) else ""
    return f"{part}, line {line}: {reason}" + (f": {shown}" if shown else "")


def _cut(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"
