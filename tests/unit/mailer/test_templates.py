"""Data can do nothing to templates, and nothing of it reaches an error."""

import sys
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer import templates
from mailer.template_checks import check_template
from mailer.templates import LARGEST, LONGEST_TEXT, MOST_DATA, MOST_ENTRIES, RenderError, make_context, render

TEMPLATE: dict[str, Any] = {
    "subject": "Hi {{ user.traits.name }}",
    "html": "<p>{{ user.traits.name }}</p>\n<a href='{{ unsubscribe_url }}'>no more</a>",
    "text": "{% for event in events %}\n- {{ event.occurred_at }}\n{% endfor %}",
    "topic": "onboarding",
}
BODY: dict[str, Any] = {
    "notification": {"name": "n", "cohort": "one", "cohort_title": "One"},
    "user": {"id": "u1", "address": "ada@example.com", "traits": {"name": "Ada", "items": 3, "nothing": None}},
    "events": [{"event_key": "1", "occurred_at": "2026-11-21T11:59:00.000Z"}],
    "entered_at": "2026-11-21T12:00:00.000Z",
}


def show(**parts: str) -> Any:
    """What is rendered of a template with these parts."""
    template = {**TEMPLATE, **parts}
    check_template(template)
    return render(template, make_context(BODY, "https://u.example/t"))


def test_template_is_rendered_for_a_member() -> None:
    """Each part with what is known of her, of the cohort and of what made her enter."""
    assert show(text="{{ cohort.title }}: {{ events[0].occurred_at[:10] }}") == (
        "Hi Ada",
        "<p>Ada</p>\n<a href='https://u.example/t'>no more</a>",
        "One: 2026-11-21",
    )


def test_html_is_escaped_and_text_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is markup stays a name."""
    monkeypatch.setitem(BODY["user"]["traits"], "name", "<b>&")
    shown = show(text="{{ user.traits.name }}")
    assert (shown.subject, shown.html.splitlines()[0], shown.text) == ("Hi <b>&", "<p>&lt;b&gt;&amp;</p>", "<b>&")


def test_subject_stays_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a name holds."""
    monkeypatch.setitem(BODY["user"]["traits"], "name", "Ada\r\nBcc: all@example.com\u2028\x00x")
    assert show().subject == "Hi Ada Bcc: all@example.com x"


def test_trait_comes_before_a_method_of_its_name() -> None:
    """`items` is a trait like others."""
    assert show(text="{{ user.traits.items }}").text == "3"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            "a\n{{ user.traits.plan }}",
            "text, line 2: something is missing, or null, of this member: {{ user.traits.plan }}",
        ),
        ("{{ user.traits.nothing }}", "text, line 1: something is missing, or null"),
        ("{{ user.traits.a.b }}", "text, line 1: something is missing"),
        ("{{ company.id }}", "text, line 1: something is missing"),
        ("{{ user.traits.name + 1 }}", "text, line 1: TypeError"),
        ("{{ user.traits.name.__class__ }}", "text, line 1: that may not be asked for"),
    ],
)
def test_what_fails_for_a_member_names_the_line_and_nothing_of_her(source: str, reason: str) -> None:
    """The error is the template's own words."""
    with pytest.raises(RenderError) as caught:
        show(text=source)
    assert str(caught.value).startswith(reason)
    assert "Ada" not in str(caught.value)
    assert "ada@" not in str(caught.value)


def test_lists_can_be_joined() -> None:
    """And what is there can have a short name."""
    source = "{% set name = user.traits.name %}{{ name }}: {{ events | map(attribute='event_key') | join(', ') }}"
    assert show(text=source).text == "Ada: 1"


def test_what_is_missing_can_be_asked_for() -> None:
    """By `is defined`, and by `default`."""
    source = "{% if user.traits.plan is defined %}a{% endif %}{{ user.traits.plan | default('free') }}"
    assert show(text=source).text == "free"
    assert show(text="{{ user.traits.metadata.name.first | default('there') }}").text == "there"


def test_rendered_part_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over a lot of data ends with an error."""
    monkeypatch.setitem(BODY["user"]["traits"], "list", ["x" * (LONGEST_TEXT // 4)] * 20)
    source = (
        "{% for a in user.traits.list %}{% for b in user.traits.list %}{{ a }}{{ b }}{{ a }}{% endfor %}{% endfor %}"
    )
    with pytest.raises(RenderError, match=f"text: it has more than {LARGEST:,} characters"):
        show(text=source)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in list %}{% for b in list %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in list if list | sort | sum < 0 %}{% endfor %}",
    ],
)
def test_no_template_runs_on(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that shows nothing: its time ends wherever it is."""
    monkeypatch.setitem(BODY["user"]["traits"], "list", list(range(MOST_ENTRIES)))
    monkeypatch.setattr(templates, "PATIENCE", 0.01)
    before = sys.gettrace()
    with pytest.raises(RenderError, match="text: it takes more than"):
        render({**TEMPLATE, "text": source.replace("list ", "user.traits.list ", 2)}, make_context(BODY, "https://u"))
    assert sys.gettrace() is before


def test_data_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts and lists, and whatever comes when there is enough; what is not her traits stays."""
    traits = {"text": "x" * 100_000, "list": list(range(10_000)), **{f"n{n}": "y" * 5_000 for n in range(30)}}
    monkeypatch.setitem(BODY["user"], "traits", traits)
    context = make_context(BODY, "https://u.example/t")
    shown = context["user"]["traits"]
    assert (len(shown["text"]), len(shown["list"])) == (LONGEST_TEXT, MOST_ENTRIES)
    assert ("n1" in shown, "n29" in shown) == (True, False)
    assert sum(map(len, map(str, shown.values()))) < MOST_DATA * 1.1
    assert (context["user"]["id"], context["cohort"]["title"]) == ("u1", "One")


@pytest.mark.parametrize(
    ("url", "is_taken"),
    [
        ("https://example.com/?a=1&b=2", True),
        ("mailto:help@example.com", True),
        ("/docs", True),
        ("javascript:alert(1)", False),
        (" JaVa\tScript:alert(1)", False),
        ("data:text/html,<b>", False),
        ("vbscript:x", False),
    ],
)
def test_links_of_data_lead_to_the_web(url: str, is_taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or to an address; the error tells nothing of the link."""
    monkeypatch.setitem(BODY["user"]["traits"], "name", url)
    source = '<a class="x" href="{{ user.traits.name }}">a</a>'
    if is_taken:
        assert 'href="' in show(html=source).html
        return
    with pytest.raises(RenderError) as caught:
        show(html=source)
    assert str(caught.value) == "html: a link leads neither to the web nor to an address"


class Reader(HTMLParser):
    """The elements of HTML, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Text."""
        self.text += data


@pytest.mark.parametrize("quote", ["'", '"'])
@given(text=st.text(max_size=40))
@example(text="""x' onclick='a" onclick="b ><b>&amp;</a>""")
@example(text="</p><script>alert(1)</script><!-- ")
def test_data_stays_in_its_place(quote: str, text: str) -> None:
    """It ends neither quotes nor tag nor text, whatever it is."""
    body = {**BODY, "user": {**BODY["user"], "traits": {"name": text}}}
    source = f"<p title={quote}{{{{ user.traits.name }}}}{quote}>{{{{ user.traits.name }}}}</p>"
    read = Reader(render({**TEMPLATE, "subject": "Hi", "html": source}, make_context(body, "https://u")).html)
    assert read.elements == [("p", {"title": text})]
    assert read.text == text


@given(
    traits=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_nothing_of_a_member_breaks_the_mailer(traits: Any) -> None:
    """A mail comes of it, or a reason without any of it."""
    body = {**BODY, "user": {**BODY["user"], "traits": {"name": traits, "list": traits, "secret": "s3cr3t"}}}
    source = "{{ user.traits.name }}{% for a in user.traits.list %}{{ a | upper }}{{ a + 1 }}{% endfor %}"
    told = ""
    try:
        told = render({**TEMPLATE, "subject": source, "text": source}, make_context(body, "https://u")).subject
    except RenderError as failure:
        told = str(failure)
    assert "\n" not in told
    assert "s3cr3t" not in told


def test_what_is_no_text_is_not_shown() -> None:
    """Nothing of Python's own gets into a mail."""
    with pytest.raises(RenderError, match="text, line 1: TypeError"):
        render({**TEMPLATE, "text": "{{ events | map(attribute='event_key') }}"}, make_context(BODY, "https://u"))


def test_links_are_looked_for_in_the_time_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's parser reads tags that don't end again and again."""
    monkeypatch.setattr(templates, "PATIENCE", 0.5)
    with pytest.raises(RenderError, match="html: it takes more than"):
        render({**TEMPLATE, "html": "<a " * 10_000}, make_context(BODY, "https://u"))
