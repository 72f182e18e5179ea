"""Templates of behavioural mails, rendered for one member: checked before (template_checks.py), when they were saved.

Jinja in its sandbox, without what could run on for ever or grow without end; HTML is escaped. Data is cut before a
template sees it, and each part has a time. Whatever is wrong names the part and its line, in the template's own words:
what is known of a person reaches no error.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from time import monotonic
from types import FrameType
from typing import Any, Final, NamedTuple

from jinja2 import ChainableUndefined, StrictUndefined, Template, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mailer.markup import has_bad_link
from mailer.samples import Sample

LARGEST: Final = 1_000_000  # characters of a rendered part; Gmail cuts at a tenth of it
LONGEST_SUBJECT: Final = 250  # characters, rendered
PATIENCE: Final = 3.0  # seconds for one part
# Of what a template may ask for: characters of a text, entries of a list or an object, and characters of all traits.
LONGEST_TEXT: Final = 5_000
MOST_ENTRIES: Final = 500
MOST_DATA: Final = 100_000
# Text made from data could grow without end, what is told must be the same each time, and nothing gets round escaping.
_FORBIDDEN_FILTERS: Final = (
    *("attr", "batch", "center", "forceescape", "format", "indent", "items", "pprint", "random", "replace", "safe"),
    *("slice", "tojson", "urlize", "wordwrap", "xmlattr"),
)
_SHOWN: Final = (str, int, float, list, dict, tuple)


class Rendered(NamedTuple):
    """A mail for one member."""

    subject: str  # one line
    html: str
    text: str


class RenderError(Exception):
    """Why a template can't be rendered for somebody; its text holds nothing of her."""

    def __init__(self, part: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{part}: {reason}" if line is None else f"{part}, line {line}: {reason}")
        self.part = part
        self.reason = reason if line is None else f"line {line}: {reason}"


class OutOfTimeError(BaseException):
    """Nothing that a template calls catches it."""


class _Missing(StrictUndefined, ChainableUndefined):
    """What is not there: nothing can be done with it, but a default can stand for it, and for what would be in it."""

    __slots__ = ()


class Environment(ImmutableSandboxedEnvironment):
    """Fields of data come before the methods of what holds them: `user.traits.items` is a trait."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What is behind a dot."""
        return self.getitem(obj, attribute) if isinstance(obj, dict | Sample) else super().getattr(obj, attribute)


def _make_environment(*, autoescape: bool) -> Environment:
    environment = Environment(undefined=_Missing, autoescape=autoescape, finalize=_refuse_nothing)
    environment.globals.clear()
    for name in _FORBIDDEN_FILTERS:
        del environment.filters[name]
    return environment


def _refuse_nothing(value: Any) -> Any:
    """A field that is there and null is no text either, nor is what only a loop can read. Raises `UndefinedError`."""
    if value is None:
        raise UndefinedError("it is null")
    if not isinstance(value, _SHOWN) and not isinstance(value, StrictUndefined):
        raise TypeError("it is no text")
    return value


_TEXT: Final = _make_environment(autoescape=False)
_HTML: Final = _make_environment(autoescape=True)
PARTS: Final = {"subject": _TEXT, "html": _HTML, "text": _TEXT}


def render(template: Mapping[str, Any], context: Mapping[str, Any]) -> Rendered:
    """A template that has been checked, for one member; see `make_context`. Raises `RenderError`."""
    subject, html, text = (_render_part(part, template[part], context) for part in PARTS)
    line = " ".join("".join(each if each.isprintable() else " " for each in subject).split())
    if not line:
        raise RenderError("subject", "it is empty")
    try:
        with limit_time(by_line=False):
            is_bad = has_bad_link(html)
    except OutOfTimeError:
        raise RenderError("html", f"it takes more than {PATIENCE:.0f} seconds") from None
    if is_bad:
        raise RenderError("html", "a link leads neither to the web nor to an address")
    return Rendered(line[:LONGEST_SUBJECT], html, text)


def make_context(body: Mapping[str, Any], unsubscribe_url: str) -> dict[str, Any]:
    """What a template may ask for, of a mail of the outbox; what is too large is cut."""
    notification = body["notification"]
    known = {
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
    return {name: _Cut().cut(value) for name, value in known.items()}


class _Cut:
    """Cuts a value of JSON; once there is enough of it, the rest is left out."""

    def __init__(self) -> None:
        self._left = MOST_DATA

    def cut(self, value: Any) -> Any:
        self._left -= 1
        if isinstance(value, str):
            kept = value[: min(LONGEST_TEXT, max(self._left, 0))]
            self._left -= len(kept)
            return kept
        if isinstance(value, list):
            return [self.cut(each) for each in value[:MOST_ENTRIES] if self._left > 0]
        if isinstance(value, dict):
            kept_names = list(value)[:MOST_ENTRIES]
            return {name: self.cut(value[name]) for name in kept_names if self._spend(name)}
        return value

    def _spend(self, name: str) -> bool:
        self._left -= len(name)
        return self._left > 0


@lru_cache(maxsize=30)
def _compile(part: str, source: str) -> Template:
    return PARTS[part].from_string(source)


def _render_part(part: str, source: str, context: Mapping[str, Any]) -> str:
    try:
        compiled = _compile(part, source)
        with limit_time():
            return "".join(_limit(part, compiled.generate(context)))
    except RenderError:
        raise
    except OutOfTimeError:
        raise RenderError(part, f"it takes more than {PATIENCE:.0f} seconds") from None
    except Exception as failure:  # noqa: BLE001 (whatever data makes of a template)
        raise _explain(part, source, failure) from None


@contextmanager
def limit_time(*, by_line: bool = True) -> Iterator[None]:
    """Ends what runs within, of this thread, once its time is over, at the next line of Python: `OutOfTimeError`.

    Or, for less, at the next call alone.
    """
    deadline, before = monotonic() + PATIENCE, sys.gettrace()

    def watch(_frame: FrameType, _event: str, _argument: Any) -> Any:
        if monotonic() > deadline:
            raise OutOfTimeError
        return watch if by_line else None

    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)


def _limit(part: str, pieces: Iterable[str]) -> Iterator[str]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > LARGEST:
            raise RenderError(part, f"it has more than {LARGEST:,} characters")
        yield piece


def _explain(part: str, source: str, failure: Exception) -> RenderError:
    """The line of a template that failed, in the template's words: those of the failure may hold data."""
    if isinstance(failure, TemplateSyntaxError):
        return RenderError(part, "it is not understood", failure.lineno)
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
    shown = shorten(lines[line - 1].strip()) if 0 < line <= len(lines) else ""
    return RenderError(part, reason + (f": {shown}" if shown else ""), line)


def shorten(text: str) -> str:
    """What is shown of a line."""
    return text if len(text) <= 120 else f"{text[:119]}…"
