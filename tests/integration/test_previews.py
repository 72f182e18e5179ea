"""What would be sent, with somebody's data on a real database; and what a look at it must not do."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cohort_evaluator.store import save_notification, save_template
from tests.integration.conftest import NOW, Connect
from tests.integration.test_change_cohorts import Ask, ask, evaluator
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_loading import select
from tests.integration.test_notifying import DIGEST

__all__ = ["ask", "evaluator"]

PREVIEW, TEST = "/api/v1/templates/{template}/preview", "/api/v1/templates/{template}/test"
NOTIFICATION = "/api/v1/notifications/{notification}/preview"
PII = "cohorts:write pii:read"
EVER = {"ever": True}
TEMPLATE: dict[str, Any] = {
    "subject": "{{ user.traits.metadata.name }}: {{ aggregates.calls }}",
    "html": "<p>{{ user.traits.metadata.name }} {{ company.id }} {{ company.traits.metadata.plan }}</p>",
    "text": "{{ cohort.name }} {{ events|length }} {{ aggregates.route }} {{ aggregates.slow }} {{ unsubscribe_url }}",
    "topic": "news",
    "mjml": "<mjml></mjml>",
    "aggregates": {
        "calls": {"count": CALL, "window": {"last": "1 hour"}},
        "route": {"top": CALL, "of": "route", "window": EVER},
        "slow": {"count": {"event": "call", "where": {"status": {"at_least": 500}}}, "window": EVER},
    },
}
STATE = "SELECT * FROM notifications", "SELECT * FROM outbox", "SELECT * FROM email_templates", "SELECT * FROM mailed"


@pytest.fixture
def world(connect: Connect) -> World:
    """A user with a company, who called three times and is in a cohort that is told to the team and mailed."""
    world = World(connect)
    for name in ("one", "other"):
        world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "1 day"}}, name)
    save_template(world.evaluator, "hello", TEMPLATE, NOW, "t")
    channel = {"mail": {"template": "hello", "repeat": "once", "hold_out": 0.0}}
    for name, definition in {"mails": {"on": ["entered"], "channel": channel}, "team": {}}.items():
        save_notification(world.evaluator, {**DIGEST, **definition, "name": name}, NOW, "test")
    world.tick(90_000)
    world.identify("identify", 80_000, userId="ada", traits={"email": "ada@example.com", "name": "Ada", "plan": "pro"})
    world.identify("group", 80_000, userId="ada", groupId="acme", traits={"plan": "team"})
    for age in (4000, 60, 50):
        world.call("ada", age, company_id="acme")
    world.identify("identify", 80_000, userId="bob", traits={"plan": "pro"})
    world.tick(40)
    return world


@pytest.fixture
def unchanged(world: World) -> Iterator[None]:
    """Holds the state from before against that from after."""
    before = [select(world.evaluator, statement) for statement in STATE]
    yield
    assert [select(world.evaluator, statement) for statement in STATE] == before


def refuse(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    """The status and what is wrong."""
    return answer[0], answer[1]["errors"][0]["description"]


@pytest.mark.usefixtures("unchanged")
def test_template_is_shown_with_somebodys_data(ask: Ask) -> None:
    """Traits, company, figures, and the newest entry into a cohort, first of one that the template is mailed to."""
    shown = {
        "name": "hello",
        "version": 1,
        "user": "ada",
        "subject": "Ada: 2",
        "html": "<p>Ada acme team</p>",
        "text": "one 1 /orders 0 https://unsubscribe.invalid/preview",
    }
    for user in ("ada", "Ada@example.com"):
        assert ask("POST", PREVIEW, {"user": user}, scopes=PII, template="hello") == (200, {"results": shown})


@pytest.mark.usefixtures("unchanged")
def test_unsaved_template_is_shown(ask: Ask) -> None:
    """Also under a name that there is not; it is checked as if it were saved."""
    draft = {**TEMPLATE, "subject": "Draft for {{ user.id }}"}
    shown = ask("POST", PREVIEW, {"user": "ada", "template": draft}, scopes=PII, template="new")[1]["results"]
    assert (shown["name"], shown["version"], shown["subject"]) == ("new", None, "Draft for ada")
    bad = {"user": "ada", "template": {**TEMPLATE, "text": "\n{{ aggregates.call }}"}}
    status, why = refuse(ask("POST", PREVIEW, bad, scopes=PII, template="hello"))
    assert (status, why.startswith("text: line 2: aggregates.call is not declared")) == (400, True)


@pytest.mark.usefixtures("unchanged")
def test_what_fails_with_her_data_is_told(ask: Ask) -> None:
    """With part and line; who lacks a trait fails, whoever has it does not."""
    status, why = refuse(ask("POST", PREVIEW, {"user": "bob"}, scopes=PII, template="hello"))
    assert status == 400
    assert why.startswith("subject, line 1: something is missing, or null, of this member: {{ user.traits.metadata.n")
    assert refuse(ask("POST", TEST, {"user": "bob", "to": ["a@example.com"]}, scopes=PII, template="hello"))[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (PREVIEW, {"user": "nobody"}, 404),
        (PREVIEW, {"user": "a\0b"}, 400),
        (PREVIEW, {"user": 1}, 400),
        (PREVIEW, {}, 400),
        (PREVIEW, [], 400),
        (PREVIEW, {"user": "ada", "version": 2}, 404),
        (PREVIEW, {"user": "ada", "version": "1"}, 400),
        (PREVIEW, {"user": "ada", "version": 1, "template": TEMPLATE}, 400),
        (PREVIEW, {"user": "ada", "template": 1}, 400),
        (PREVIEW, {"user": "ada", "to": ["a@example.com"]}, 400),
        (TEST, {"user": "ada"}, 400),
        (TEST, {"user": "ada", "to": []}, 400),
        (TEST, {"user": "ada", "to": ["a@example.com\r\nBcc: b@example.com"]}, 400),
        (TEST, {"user": "ada", "to": ["a@example.com", "b"]}, 400),
        (TEST, {"user": "ada", "to": [f"a{number}@example.com" for number in range(11)]}, 400),
        (TEST, {"user": "ada", "to": ["a@example.com"], "template": TEMPLATE}, 400),
        (NOTIFICATION, {"user": "ada"}, 400),
    ],
)
@pytest.mark.usefixtures("unchanged")
def test_bad_bodies_are_refused(ask: Ask, path: str, body: Any, status: int) -> None:
    """With what is wrong; nothing is sent."""
    assert ask("POST", path, body, scopes=PII, template="hello", notification="team")[0] == status
    for name in ("no", "no\0", "\ud800"):
        answer = ask("POST", path, {"user": "ada", "to": ["a@b.example"]}, template=name, notification=name)
        assert answer[0] in (400, 404)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*TEMPLATE, "event", "x"]), inner),
    max_leaves=8,
)
BODIES = JSON | st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(["ada", "bob"]) | JSON,
        "to": st.just(["a@example.com"]) | JSON,
        "version": st.just(1) | JSON,
        "template": st.just(TEMPLATE)
        | st.builds(lambda part, value: {**TEMPLATE, part: value}, st.sampled_from([*TEMPLATE]), JSON),
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from([PREVIEW, TEST, NOTIFICATION]), body=BODIES, name=st.sampled_from(["hello", "team", "mails"])
)
@pytest.mark.usefixtures("world")
def test_no_body_is_a_fault_of_ours(ask: Ask, path: str, body: Any, name: str) -> None:
    """Whatever is asked for is answered, or refused."""
    assert ask("POST", path, body, scopes=PII, template=name, notification=name)[0] in (200, 202, 400, 404)


@pytest.mark.usefixtures("unchanged")
def test_nothing_of_anybody_is_shown_to_who_may_not_see_it(ask: Ask) -> None:
    """Without pii:read traits and addresses are hidden; counts are not."""
    source = "{{ user.address }} {{ user.traits.metadata.plan }} {{ aggregates.calls }} {{ aggregates.route }}"
    body = {"user": "ada", "template": {**TEMPLATE, "text": source}}
    shown = ask("POST", PREVIEW, body, template="hello")[1]["results"]
    assert (shown["subject"], shown["html"]) == ("***: 2", "<p>*** acme ***</p>")
    assert shown["text"] == "a***@example.com *** 2 ***"
    team = ask("POST", NOTIFICATION, notification="team")[1]["results"]["message"]["data"]["added"]
    assert [(one["id"], one["fields"]) for one in team] == [("ada", {"address": "***", "metadata.plan": "***"})]


def test_answer_to_a_test_shows_nothing_of_anybody(ask: Ask, world: World) -> None:
    """Without pii:read; what is sent holds what the notification asks for."""
    path = "/api/v1/notifications/{notification}/test"
    world.identify("identify", 30, userId="eve@example.com", traits={"plan": "pro"})
    world.call("eve@example.com", 20)
    world.tick(10)
    email = {"email": {"to": ["team@example.com"]}}
    save_notification(world.evaluator, {**DIGEST, "channel": email}, NOW, "test")
    body = ask("POST", path, notification="team")[1]["results"]["body"]
    assert [(one["id"], one["fields"]) for one in body["added"]] == [
        ("ada", {"address": "***", "metadata.plan": "***"}),
        ("e***@example.com", {"address": None, "metadata.plan": "***"}),
    ]
    assert body["notification"]["channel"] == {"email": {"to": ["t***@example.com"]}}
    ((sent,),) = select(world.evaluator, f"SELECT body FROM outbox WHERE id = '{body['id']}'")
    assert sent["added"][0]["fields"] == {"address": "ada@example.com", "metadata.plan": "pro"}
    assert sent["notification"]["channel"] == email
    assert ask("POST", path, scopes=PII, notification="team")[1]["results"]["body"] == sent


def test_only_the_notification_that_is_asked_for_has_to_be_readable(ask: Ask, world: World) -> None:
    """One that an earlier release let through holds no other one back."""
    save_notification(world.evaluator, {**DIGEST, "name": "young"}, NOW, "test")
    with world.evaluator, world.evaluator.cursor() as cursor:
        cursor.execute("UPDATE notifications SET definition = definition || '{\"limit\": 0}' WHERE name = 'team'")
    for path, status in ((NOTIFICATION, 200), (NOTIFICATION.replace("preview", "test"), 202)):
        assert ask("POST", path, notification="young")[0] == status
        assert refuse(ask("POST", path, notification="team")) == (400, "limit: is a whole number from 1 to 1,000")


def test_test_goes_to_colleagues_alone(ask: Ask, world: World) -> None:
    """A mail to each, with the user's data, that is marked as a test."""
    to = ["Team@example.com", "rep@example.com", "rep@example.com"]
    status, answer = ask("POST", TEST, {"user": "ada", "to": to}, scopes=PII, template="hello")
    assert (status, answer["results"]["subject"], len(answer["results"]["ids"])) == (202, "Ada: 2", 2)
    statement = f"SELECT body FROM outbox WHERE id = ANY (ARRAY{answer['results']['ids']}) ORDER BY id"
    bodies = [body for (body,) in select(world.evaluator, statement)]
    assert [(body["kind"], body["to"]) for body in bodies] == [("test", address) for address in to[:2]]
    assert bodies[0]["user"]["traits"]["metadata"]["name"] == "Ada"
    assert bodies[0]["aggregates"] == {"calls": 2, "route": "/orders", "slow": 0}
    assert (bodies[0]["template"]["version"], "mjml" in bodies[0]["template"]) == (1, False)
    hidden = ask("POST", TEST, {"user": "ada", "to": to}, template="hello")
    assert (hidden[0], hidden[1]["results"]["subject"]) == (202, "***: 2")


def test_digest_is_shown_as_its_channel_has_it(ask: Ask, world: World) -> None:
    """What nobody was told of so far; it is told all the same, when its period is over."""
    world.call("bob", 30)
    world.tick(20)
    before = [select(world.evaluator, statement) for statement in STATE]
    found = ask("POST", NOTIFICATION, scopes=PII, notification="team")[1]["results"]
    assert (found["channel"], found["is_due"], found["message"]["type"]) == ("webhook", True, "cohort.changed")
    data = found["message"]["data"]
    assert data["counts"] == {"added": 1, "removed": 0, "members": 2}
    assert [(one["id"], one["fields"]["metadata.plan"]) for one in data["added"]] == [("bob", "pro")]
    assert [select(world.evaluator, statement) for statement in STATE] == before


def test_each_channel_has_a_form(ask: Ask, world: World) -> None:
    """Of Slack its blocks, of an email its parts; what was told is due no more."""
    channels = {"mail-team": {"email": {"to": ["team@example.com"]}}, "chat": {"slack": {"secret": "sales"}}}
    for name, channel in channels.items():
        save_notification(world.evaluator, {**DIGEST, "name": name, "channel": channel}, NOW, "test")
    email = ask("POST", NOTIFICATION, scopes=PII, notification="mail-team")[1]["results"]
    assert (email["is_due"], email["message"]["subject"]) == (False, "One: 1 entered")
    assert "ada@example.com" in email["message"]["html"]
    assert "ada" in email["message"]["text"]
    chat = ask("POST", NOTIFICATION, scopes=PII, notification="chat")[1]["results"]["message"]
    assert chat["blocks"][0]["text"]["text"] == "One: 1 entered"


@pytest.mark.usefixtures("unchanged")
def test_mail_of_a_notification_is_shown(ask: Ask) -> None:
    """As one of her members would get it, and whether she is one."""
    found = ask("POST", NOTIFICATION, {"user": "ada"}, scopes=PII, notification="mails")[1]["results"]
    assert (found["channel"], found["is_due"], found["is_member"], found["held_out"]) == ("mail", False, True, False)
    assert found["message"]["text"].startswith("one 1 /orders")
    assert ask("POST", NOTIFICATION, scopes=PII, notification="mails")[0] == 400
    assert ask("POST", NOTIFICATION, {"user": "bob"}, scopes=PII, notification="mails")[0] == 400
