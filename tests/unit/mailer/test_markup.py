"""Data is text, or the value of an attribute in quotes: nothing else in HTML."""

import pytest

from mailer.markup import has_bad_link, list_misplaced
from mailer.templates import PARTS


def find_lines(source: str) -> list[int]:
    """The lines with faults."""
    return [line for _, line in list_misplaced(PARTS["html"].lex(source))]


@pytest.mark.parametrize(
    "source",
    [
        "<p>{{ a }}</p>",
        "<a href=\"{{ a }}\" title='x {{ a }} y'>a</a>",
        '<a href="https://x.example/?q={{ a }}&amp;b={{ b }}">a</a>',
        "<td {% if a %}class='b'{% else %}class='c'{% endif %}>{{ a }}</td>",
        "<!-- {{ a }} --><!--[if mso]><p>{{ a }}</p><![endif]-->",
        "<style>p { color: red }</style><p>{{ a }}</p>",
        '<p style="color: {{ a }}">a</p>',
        "{# <a href={{ a }}> #}<p>a</p>",
        "1 < 2 {{ a }}",
    ],
)
def test_places_where_escaping_holds(source: str) -> None:
    """In texts, comments and quotes."""
    assert find_lines(source) == []


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("<p>\n<a href={{ a }}>a</a>", 2),
        ("<p>\n\n<a {{ a }}='b'>a</a>", 3),
        ("<p>\n<a {{ a }}>a</a>", 2),
        ("\n<h{{ a }}>b", 2),
        ('{%- if a -%}\n\n<a onclick="x({{ a }})">a</a>{% endif %}', 3),
        ("<script>\nlet a = '{{ a }}'</script>", 1),
        ("<style>p { color: {{ a }} }</style>", 1),
        ("{% for a in b\n  if c %}\n<a href={{ a }}/>{% endfor %}", 3),
        ("{{ a\n }}\n{% raw %}\n{{ a }}{% endraw %}<a b={{ c }}>", 4),
    ],
)
def test_places_where_it_does_not(source: str, line: int) -> None:
    """Each is told with its line in the template."""
    assert find_lines(source) == [line]


@pytest.mark.parametrize(
    ("html", "is_bad"),
    [
        ("<a href='https://a.example'>", False),
        ("<a href='mailto:a@example.com'>", False),
        ("<a href='#top'>", False),
        ("<img src='data:image/png;base64,AA=='>", False),
        ("<img src='cid:logo'>", False),
        ("<p>javascript: is a word</p>", False),
        ("<a href=javascript:x>", True),
        ("<a\nhref = 'java&#115;cript:x'>", True),
        ("<img src='data:image/svg+xml' alt=''><form action='data:text/html,x'>", True),
        ("<td background='file:///etc'>", True),
        ('<a/href="javascript:x">', True),
        ('<a title="x"href="javascript:x">', True),
        ("<a title='x>' HREF = 'javascript:x'>", True),
        ("<svg><a xlink:href='javascript:x'/></svg>", True),
        ("<!--[if mso]><v:rect href='javascript:x'></v:rect><![endif]-->", True),
        ("<!--[if mso]><v:rect href='https://a.example'></v:rect><![endif]-->", False),
        ("<p>write href=javascript:x, or src = 'data:x'</p>", False),
        ("<p title='a href=javascript:x'>a</p>", False),
        ("<a href>a</a>", False),
        ("<p>a</p><![what]>", True),
    ],
)
def test_where_links_lead(html: str, is_bad: bool) -> None:
    """To the web, to addresses, and to pictures."""
    assert has_bad_link(html) is is_bad
