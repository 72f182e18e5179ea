"""Templates say what is wrong with them before anybody is mailed."""

from typing import Any

import pytest

from cohort_evaluator.reading import DefinitionError
from mailer import templates
from mailer.template_checks import KNOWN, check_template
from mailer.templates import make_context

CALL = {"event": "call"}
EVER = {"ever": True}
TEMPLATE: dict[str, Any] = {
    "subject": "Hi {{ user.traits.name }}",
    "html": "<p>{{ user.traits.name }}</p>\n<a href='{{ unsubscribe_url }}'>no more</a>",
    "text": "{% for event in events %}\n- {{ event.occurred_at }}\n{% endfor %}",
    "topic": "onboarding",
    "aggregates": {
        "calls": {"count": CALL, "window": EVER},
        "last_route": {"last": CALL, "of": "route", "window": EVER},
        "last_call": {"last": CALL, "of": "occurred_at", "window": EVER},
    },
}


@pytest.mark.parametrize(
    ("part", "source", "reason"),
    [
        ("subject", "{{ user.", "line 1: "),
        ("html", "<p>\n{% if user %}\n", "line 2: "),
        ("text", "a\n\n{{ usr.id }}", "line 3: usr is unknown"),
        ("text", "{{ user.name }}", "line 1: user.name is unknown: user has id, address, traits"),
        ("text", "{{ user['name'] }}", "line 1: user.name is unknown"),
        ("text", "{{ company.name }}", "line 1: company.name is unknown: company has id, traits"),
        (
            "html",
            "<p>\n{{ aggregates.call }}</p>",
            "line 2: aggregates.call is not declared in aggregates: there are calls, l",
        ),
        ("text", "{{ aggregates['call'] }}", "line 1: aggregates.call is not declared"),
        ("text", "{% set a = aggregates %}\n{{ a.call }}", "line 2: something is missing"),
        ("text", "\n{{ events[0].route }}", "line 2: something is missing"),
        ("text", "{{ aggregates.calls ~ aggregates.calls | length }}", "line 1: TypeError"),
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
        ("text", "{% set a = [user.id, user.id] %}\n{% set b = [a, a] %}", "line 1: set takes what is there"),
        ("text", "\n{% set a = user.id, user.id %}", "line 2: set takes what is there"),
        ("text", "{% set a = {'b': user.id} %}", "line 1: set takes what is there"),
        ("text", "{% set a = user.traits.get('b', [user.id, user.id]) %}", "line 1: set takes what is there"),
        ("text", "\n{{ 1.5 | round(1000000000) }}", "line 2: round takes"),
        ("text", "{{ 1.5 | round(11) }}", "line 1: round takes"),
        ("text", "{{ 1.5 | round(-1) }}", "line 1: round takes"),
        ("text", "{{ 1.5 | round(precision=11) }}", "line 1: round takes"),
        ("text", "{{ 1.5 | round(user.traits.n, 'ceil') }}", "line 1: round takes"),
        ("text", "{{ events | map('round', precision=11) | list }}", "line 1: map takes"),
        ("text", "{{ 1.5 | round(*user.traits.list) }}", "line 1: a filter takes no *"),
        ("text", "{{ events | map(**user.traits.options) | list }}", "line 1: a filter takes no *"),
        ("text", "{% set a %}b{% endset %}", "line 1: a block of set can't"),
        ("text", "{% with a = 'b' %}{% endwith %}", "line 1: with can't"),
        ("text", "{{ 'ab' | replace('a', 'b') }}", "line 1: No filter named 'replace'"),
        ("text", "{{ 'ab' | join(user.id) }}", "line 1: join takes"),
        ("text", "{{ events | map('join', user.id) | list }}", "line 1: map takes"),
        ("text", "{{ events | map('map', 'join') | list }}", "line 1: map takes"),
        ("text", "{{ events | map(user.id) | list }}", "line 1: map takes"),
        ("text", "{{ 'a'" + " | tojson" * 40 + " }}", "line 1: No filter named 'tojson'"),
        ("html", "{{ user.id | safe }}", "line 1: No filter named 'safe'"),
        ("html", "\n{% autoescape false %}{{ user.id }}{% endautoescape %}", "line 2: autoescape can't"),
        ("text", "a\n{{ user.id" + " ~ user.id" * 1_000 + " }}", "line 2: there are more than 1,000 names"),
        ("text", "{{ " + "(" * 500 + "1" + ")" * 500 + " }}", "line 1: it is nested too deeply"),
        (
            "text",
            "{% if user.id %}" * 120 + "{% endif %}" * 120,
            "line 1: it can't be made a program of: IndentationError",
        ),
        ("text", "{{ " + "9" * 5_000 + " }}", "line 1: it can't be made a program of: ValueError"),
        ("html", "<p>\n<a href={{ user.id }}>a</a>", "line 2: what is inserted into an attribute needs quotes"),
        ("html", "<a href='javascript:alert(1)'>a</a>", "a link leads neither"),
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
        ("reply_to", "help@localhost", "is an address"),
        ("reply_to", "a..b@example.com", "is an address"),
        ("reply_to", "a@b@example.com", "is an address"),
        ("reply_to", 1, "is an address"),
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


def test_template_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried for ever."""
    monkeypatch.setattr(templates, "PATIENCE", 0.01)
    with pytest.raises(DefinitionError, match="text: line 1: it takes too long to be read"):
        check_template({**TEMPLATE, "text": "{{ user.id" + " | upper" * 90 + " }}"})


def test_faults_of_declarations_are_told_with_their_place() -> None:
    """As those of cohorts."""
    declared = {"calls": {"count": {"event": "fly"}, "window": EVER}}
    with pytest.raises(DefinitionError) as caught:
        check_template({**TEMPLATE, "aggregates": declared})
    assert caught.value.place == "aggregates.calls.count.event"


@pytest.mark.parametrize(
    "source",
    [
        "{% if aggregates.calls > 3 %}{{ aggregates.calls }} calls{% endif %}",
        "{{ aggregates.last_route | default('none', true) }} {{ aggregates.last_call[:10] }}{{ aggregates.calls + 1 }}",
        "{{ user.traits.metadata.name | default('there') | title | truncate(20) }}",
        "{{ (user.traits.seats - user.traits.used) // 2 }}, {{ user.traits.share | round(1) }}{{ -user.traits.a }}",
        "{% for name, value in user.traits.plans.items() %}{{ name }}: {{ value.price + 1 }}{% endfor %}",
        "{% for plan in user.traits.plans %}{{ loop.index }} {{ plan | upper }}{% else %}none{% endfor %}",
        "{{ aggregates.calls | round(10, 'ceil') | round(precision=0) }} {{ events | map('length') | list | length }}",
        "{{ user.traits.plans | map(attribute='a', default='') | sort | join(', ') }} {{ user.traits.plans | length }}",
        "{{ user.traits.plans | sum(attribute='price') }} {{ user.traits.a ~ 1 }} {{ 1 + user.traits.a }}",
        "{% if 'a' in user.traits.list and user.traits.n >= 3 and company.traits.plan == 'pro' %}a{% endif %}",
        "{{ user.traits.since[:4] }} {{ user.traits.name.split(' ')[0] }} {{ user.traits['a b'].upper() }}",
        "{{ user.traits.title }} {{ user.traits.count }} {{ user.traits.url | urlencode }} {{ user.traits.n | int }}",
        "{{ events | length }} {{ events[0].event_key }} {{ (events | last).occurred_at }} {{ cohort.entered_at }}",
        "{{ user.traits.list | first }} {{ user.traits.list | max }} {{ user.traits.list | unique | list }}",
    ],
)
def test_what_a_member_may_have_is_taken(source: str) -> None:
    """Nobody knows which traits there are, nor of what type."""
    check_template({**TEMPLATE, "text": source})
    check_template({**TEMPLATE, "html": f"<p>{source}</p>"})


def test_answers_go_where_mails_can() -> None:
    """What is saved is what the mail is built with, so that no mail fails by it."""
    for address in ("help@example.com", "hilfe@b\u00fccher.example"):
        check_template({**TEMPLATE, "reply_to": address})


def test_made_up_members_have_what_members_have() -> None:
    """The names that are known are those that are there."""
    body = {"notification": {"cohort": "a", "cohort_title": "A"}, "user": {"id": "u", "address": "a", "traits": {}}}
    context = make_context(body, "https://u.example")
    assert set(context) == set(KNOWN)
    assert {name: tuple(context[name]) for name in ("user", "cohort")} == {
        name: KNOWN[name] for name in ("user", "cohort")
    }
