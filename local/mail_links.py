"""The HTML of a mail as the inbox shows it: its links lead through the inbox, which tells of the click.

What keeps hostile HTML from doing anything is the frame: a sandbox without scripts, forms and an origin, and a policy
that loads nothing (local/mail_pages.py). Here only what would get in the links' way is left out.
"""

from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from urllib.parse import quote, urlsplit

LEFT_OUT = ("base", "meta", "script", "link")  # a base or a refresh would lead elsewhere
KEPT_SCHEMES = ("mailto", "tel")
UNCHANGED = "!#$%&'()*+,-./:;=?@[]_~"  # of a URL as a header holds it


class _Rewriter(HTMLParser):
    def __init__(self, place: Callable[[int], str]) -> None:
        super().__init__(convert_charrefs=False)
        self.links: list[str] = []
        self.pieces: list[str] = []
        self._place = place
        self._hidden = False  # inside a script

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in LEFT_OUT:
            self._hidden = tag == "script"
        elif tag in ("a", "area"):
            self.pieces.append(self._write_link(tag, attrs))
        else:
            self.pieces.append(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._hidden = False

    def handle_endtag(self, tag: str) -> None:
        if tag not in LEFT_OUT:
            self.pieces.append(f"</{tag}>")
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)

    def handle_entityref(self, name: str) -> None:
        self.pieces.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.pieces.append(f"&#{name};")

    def handle_decl(self, decl: str) -> None:
        self.pieces.append(f"<!{decl}>")

    def _write_link(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        given = {name: value for name, value in attrs if name not in ("target", "rel", "ping", "download")}
        href = (given.pop("href", None) or "").strip()
        if is_web_link(href):
            given["href"] = self._place(len(self.links))
            self.links.append(href)
        elif href.startswith("#") or href.partition(":")[0].lower() in KEPT_SCHEMES:
            given["href"] = href
        given |= {"target": "_blank", "rel": "noopener noreferrer"}
        written = "".join(
            f' {name}="{escape(value)}"' if value is not None else f" {name}" for name, value in given.items()
        )
        return f"<{tag}{written}>"


def is_web_link(href: str) -> bool:
    """Whether it leads to a web page; only such links are counted."""
    try:
        return urlsplit(href).scheme.lower() in ("http", "https") and bool(urlsplit(href).hostname)
    except ValueError:
        return False


def rewrite(html: str, place: Callable[[int], str]) -> tuple[str, list[str]]:
    """The HTML with the n-th link leading to `place(n)`, and the links."""
    rewriter = _Rewriter(place)
    rewriter.feed(html)
    rewriter.close()
    return "".join(rewriter.pieces), rewriter.links


def encode_link(link: str) -> str:
    """A URL as the value of a header: ASCII without spaces and control characters."""
    return quote(link, safe=UNCHANGED)
