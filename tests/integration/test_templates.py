"""Templates, as the API shows them."""

import pytest
from psycopg2.extensions import connection as Connection

from cohort_evaluator.store import save_notification, save_template
from common.errors import ApiError
from query_events.routing import READ_EVENTS, Caller
from query_events.templates import ROUTES
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_notifying import DIGEST

LIST, ONE = ROUTES
HELLO = {"subject": "Hi", "html": "<p>Hi</p>", "text": "Hi", "topic": "news", "reply_to": "help@example.com"}


@pytest.fixture
def query(connect: Connect) -> Connection:
    """Two templates, one of them with two versions and a notification."""
    world = World(connect)
    save_template(world.evaluator, "hello", HELLO, NOW, "ada")
    save_template(world.evaluator, "hello", {**HELLO, "subject": "Hello", "mjml": "<mjml></mjml>"}, NOW, "bob")
    save_template(world.evaluator, "bye", HELLO, NOW, "ada")
    world.save({"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}})
    channel = {"mail": {"template": "hello", "repeat": "once"}}
    save_notification(world.evaluator, {**DIGEST, "on": ["entered"], "channel": channel}, NOW, "test")
    return connect("mailwake_query")


def test_templates_are_listed(query: Connection) -> None:
    """The newest version of each, and who mails it."""
    bye, hello = make_request(query, LIST, {})["results"]
    assert (bye["name"], bye["version"], bye["notifications"]) == ("bye", 1, [])
    assert hello == {
        "name": "hello",
        "version": 2,
        "subject": "Hello",
        "topic": "news",
        "reply_to": "help@example.com",
        "notifications": ["team"],
        "created_at": "2026-11-21T12:00:00.000Z",
        "created_by": "bob",
    }


def test_template_is_shown_with_its_versions(query: Connection) -> None:
    """The newest one, or the one that is asked for."""
    found = make_request(query, ONE, {}, template="hello")["results"]
    assert (found["version"], found["mjml"], found["html"]) == (2, "<mjml></mjml>", "<p>Hi</p>")
    assert [(one["version"], one["subject"], one["created_by"]) for one in found["versions"]] == [
        (2, "Hello", "bob"),
        (1, "Hi", "ada"),
    ]
    first = make_request(query, ONE, {"version": "1"}, template="hello")["results"]
    assert (first["version"], first["subject"], first["mjml"], len(first["versions"])) == (1, "Hi", None, 2)
    for name, given in (("nothing", {}), ("hello", {"version": "3"})):
        with pytest.raises(ApiError, match="Not found"):
            make_request(query, ONE, given, template=name)
    with pytest.raises(ApiError):
        make_request(query, ONE, {"version": "0"}, template="hello")


def test_addresses_are_masked(query: Connection) -> None:
    """For who may not see them."""
    found = make_request(query, ONE, {}, Caller("other", frozenset({READ_EVENTS})), template="hello")["results"]
    assert found["reply_to"] == "h***@example.com"
