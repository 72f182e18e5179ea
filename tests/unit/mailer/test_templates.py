"""Templates say what is wrong with them before anybody is mailed, and data can do nothing to them."""

from typing import Any

import pytest

from cohort_evaluator.reading import DefinitionError
from mailer.templates import LARGEST, RenderError, check_template, make_context, render

TEMPLATE: dict[str, Any] = {
    "subject": "Hi {{ user.traits.name }}",
    "html": "<p>{{ user.traits.name }}</p>\n<a href='{{ unsubscribe_url }}'>no more</a>",
    "text": "{% for event in events %}\n- {{ event.operation }}\n{% endfor %}",
    "topic": "onboarding",
}
BODY: dict[str, Any] = {
    "notification": {"name": "n", "cohort": "one", "cohort_title": "One"},
    "user": {"id": "u1", "address": "ada@example.com", "traits": {"name": "Ada", "items": 3, "nothing": None}},
    "events": [{"operation": "POST /orders"}],
    "entered_at": "2026-11-21T12:00:00.000Z",
}


def show(**parts: str) -> Any:
    """What is rendered of a template with these parts."""
    template = {**TEMPLATE, **parts}
    check_template(template)
    return render(template, make_context(BODY, "https://u.example/t"))


def test_template_is_rendered_for_a_member() -> None:
    """Each part with what is known of her, of the cohort and of what made her enter."""
    assert show(text="{{ cohort.title }}: {{ events[0].operation }}") == (
        "Hi Ada",
        "<p>Ada</p>\n<a href='https://u.example/t'>no more</a>",
        "One: POST /orders",
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
    ("part", "source", "reason"),
    [
        ("subject", "{{ user.", "line 1: "),
        ("html", "<p>\n{% if user %}\n", "line 2: "),
        ("text", "a\n\n{{ usr.id }}", "line 3: usr is unknown"),
        ("text", "{{ user.name }}", "line 1: user.name is unknown: user has id, address, traits"),
        ("text", "{{ user['name'] }}", "line 1: user.name is unknown"),
        ("html", "\n{{ user.id | shout }}", "line 2: No filter named 'shout'"),
        ("text", "{{ range(10) }}", "line 1: range is unknown"),
        ("text", "{% include 'a' %}", "line 1: include can't"),
        ("text", "{% macro a() %}{% endmacro %}", "line 1: macro can't"),
        ("text", "\n{{ 'a' * 1000000000 }}", "line 2: * can't"),
        ("text", "{{ '%1000000000s' % 'a' }}", "line 1: % can't"),
        ("text", "{{ 'a' | format }}", "line 1: No filter named 'format'"),
        ("text", "{{ 'a'.ljust(1000000000) }}", "line 1: only these can be called"),
        ("text", "{{ events.append(1) }}", "line 1: only these can be called"),
        ("text", "{% set user = 1 %}", "line 1: user can't be set"),
        ("text", "\n{% set a = 'a' ~ 'b' %}", "line 2: set takes what is there"),
        ("text", "{% set a %}b{% endset %}", "line 1: a block of set can't"),
        ("text", "{% with a = 'b' %}{% endwith %}", "line 1: with can't"),
        ("text", "{{ 'ab' | replace('a', 'b') }}", "line 1: No filter named 'replace'"),
        ("text", "{{ 'ab' | join(user.id) }}", "line 1: join takes"),
        ("text", "{{ 'ab' | join(', ') | join(', ') }}", "line 1: join takes"),
        (
            "text",
            "{% for a in events %}{% for b in events %}{% for c in events %}{% endfor %}{% endfor %}{% endfor %}",
            "line 1: loops",
        ),
        ("subject", "a\nb", "is one line"),
        ("html", "", "is a text"),
        ("html", 1, "is a text"),
        ("html", "\ud800", "is a text"),
        ("topic", "On boarding", "is 1 to 100 characters"),
        ("reply_to", "a@example.com\r\nBcc: b@example.com", "is an address"),
    ],
)
def test_fault_is_told_when_a_template_is_saved(part: str, source: Any, reason: str) -> None:
    """With its part and line."""
    with pytest.raises(DefinitionError) as caught:
        check_template({**TEMPLATE, part: source})
    assert caught.value.place == part
    assert caught.value.reason.startswith(reason)


@pytest.mark.parametrize("template", [None, [], {}, {**TEMPLATE, "texts": "a"}, {"subject": "a"}])
def test_other_things_are_no_template(template: object) -> None:
    """Nothing is missing or misspelt."""
    with pytest.raises(DefinitionError):
        check_template(template)


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
    source = "{% set name = user.traits.name %}{{ name }}: {{ events | map(attribute='operation') | join(', ') }}"
    assert show(text=source).text == "Ada: POST /orders"


def test_what_is_missing_can_be_asked_for() -> None:
    """By `is defined`, and by `default`."""
    source = "{% if user.traits.plan is defined %}a{% endif %}{{ user.traits.plan | default('free') }}"
    assert show(text=source).text == "free"
    assert show(text="{{ user.traits.metadata.name.first | default('there') }}").text == "there"


def test_rendered_part_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over a lot of data ends with an error."""
    monkeypatch.setitem(BODY, "events", [{"a": "x" * 1_000}] * (LARGEST // 1_000 + 1))
    with pytest.raises(RenderError, match="text: it has more than"):
        show(text="{% for event in events %}{{ event.a }}{% endfor %}")
