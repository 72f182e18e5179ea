"""What data may do to HTML: text, and values of attributes in quotes, where everything is escaped; nothing else.

The source of a template is looked at when it is saved; where links lead, when data is in it.
"""

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from typing import Final

_MARK: Final = "mwinserted"
# What stands where something is inserted: an attribute of its own unless there are quotes around it.
_INSERTED: Final = f"a {_MARK}=1"
_LINKS: Final = frozenset(
    ("href", "src", "action", "formaction", "background", "poster", "cite", "data", "srcset", "xlink:href")
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
SCHEMES: Final = ("http", "https", "mailto", "tel", "sms", "cid")


def list_misplaced(tokens: Iterable[tuple[int, str, str]]) -> list[tuple[str, int]]:
    """Where a template inserts something that escaping can't keep in its place: why, and the line.

    `tokens` are those of Jinja's `lex`: line, type and text.
    """
    looker = _Looker()
    looker.feed("".join(_write(tokens)))
    looker.close()
    return looker.faults


def _write(tokens: Iterable[tuple[int, str, str]]) -> Iterator[str]:
    """The HTML with a mark for each value that is inserted, and its lines where they are in the template."""
    line, inside = 1, ""
    for number, kind, text in tokens:
        if number > line:
            yield "\n" * (number - line)
            line = number
        if kind.endswith("_end"):
            inside = ""
        elif kind.endswith("_begin"):
            inside = kind
            if kind == "variable_begin":
                yield _INSERTED
        elif kind == "data" and inside in ("", "raw_begin"):
            yield text
            line += text.count("\n")


class _Looker(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[tuple[str, int]] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        if _MARK in tag or any(_MARK in name for name, _ in attrs):
            self._add("what is inserted into an attribute needs quotes around it, and can't be its name")
        if any(name.startswith("on") and _MARK in (value or "") for name, value in attrs):
            self._add("nothing can be inserted into a script")

    def handle_endtag(self, _tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within in ("script", "style") and _MARK in data:
            self._add(f"nothing can be inserted into a {self._within}")

    def _add(self, reason: str) -> None:
        self.faults.append((reason, self.getpos()[0]))


def has_bad_link(html: str) -> bool:
    """Whether a link or a picture is neither of the web nor an address, such as `javascript:`.

    Outlook shows what is in some comments, so they are looked at as if they were none, too.
    """
    shown = (html, html.replace("<!--", " ").replace("-->", ">")) if "<!--" in html else (html,)
    try:
        return any(map(_is_bad, (value for each in shown for value in _list_links(each))))
    except AssertionError:  # what Python's parser has for declarations that it can't read
        return True


def _list_links(html: str) -> list[str]:
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return finder.links


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[str] = []

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if value and name in _LINKS]


def _is_bad(link: str) -> bool:
    value = "".join(each for each in link if each > " ")
    scheme = _SCHEME.match(value)
    return bool(scheme and scheme[1].lower() not in SCHEMES and not value.lower().startswith("data:image/"))
