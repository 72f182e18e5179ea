"""What changes cohorts and notifications, from the request to the answer, on a real database."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from change_cohorts import app, changes
from change_cohorts.changes import ROUTES
from change_cohorts.requests import Change
from cohort_evaluator import registering, rehearsal
from common.database import Database
from query_events.change_schemas import CHANGES
from tests.declared import check_body
from tests.integration.conftest import NOW, Connect
from tests.integration.test_cohorts import CALL, World
from tests.integration.test_loading import select
from tests.integration.test_notifying import DIGEST

DEFINITION: dict[str, Any] = {
    "name": "one",
    "title": "One",
    "subject": "user",
    "members": {"did": CALL, "count": {">=": 1}, "window": {"last": "10 minutes"}},
}
COHORT, NOTIFICATION = "/api/v1/cohorts/{cohort}", "/api/v1/notifications/{notification}"
HELLO = {"subject": "Hi", "html": "<p>Hi</p>", "text": "Hi", "topic": "news"}
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def evaluator(connect: Connect) -> Connection:
    """The role that the function logs in as."""
    return connect("mailwake_evaluator")


@pytest.fixture
def ask(evaluator: Connection, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Asks the function: status and decoded body, which are as the OpenAPI document says."""
    database = Database(lambda: evaluator)
    monkeypatch.setattr(app, "_database", lambda: database)
    monkeypatch.setattr(app, "now", lambda: NOW)

    def ask(
        method: str,
        path: str,
        body: Any = None,
        *,
        scopes: str = "cohorts:write",
        name: str = "me",
        **values: str,
    ) -> tuple[int, dict[str, Any]]:
        event = {
            "routeKey": f"{method} {path}",
            "requestContext": {"authorizer": {"lambda": {"name": name, "scopes": scopes}}},
            "pathParameters": values,
            "body": body if isinstance(body, str) or body is None else json.dumps(body),
        }
        answer = app.handler(event, None)
        decoded: dict[str, Any] = json.loads(answer["body"])
        if answer["statusCode"] >= 400:
            assert set(decoded["errors"][0]) == {"message", "description", "code"}
        else:
            (declared,) = [change for change in CHANGES if change.key == event["routeKey"]]
            assert answer["statusCode"] in declared.statuses
            check_body(declared.results, decoded["results"])
        return int(answer["statusCode"]), decoded

    return ask


def test_cohort_is_saved_changed_and_deleted(ask: Ask, evaluator: Connection) -> None:
    """Each change is a version; the same again is none."""
    assert ask("PUT", COHORT, DEFINITION, cohort="one") == (
        201,
        {"results": {"name": "one", "version": 1, "changed": True}},
    )
    assert ask("PUT", COHORT, DEFINITION, cohort="one")[1]["results"]["changed"] is False
    assert ask("PUT", COHORT, {**DEFINITION, "title": "Two"}, cohort="one")[1]["results"]["version"] == 2
    assert select(evaluator, "SELECT version, created_by FROM cohort_versions ORDER BY 1") == [(1, "me"), (2, "me")]
    assert ask("DELETE", COHORT, cohort="one")[0] == 200
    assert ask("DELETE", COHORT, cohort="one")[0] == 404
    assert ask("PUT", COHORT, DEFINITION, cohort="one")[1]["results"]["version"] == 3


def test_name_comes_from_the_path(ask: Ask) -> None:
    """It may be left out of the body, and may not be another one."""
    nameless = {key: value for key, value in DEFINITION.items() if key != "name"}
    assert ask("PUT", COHORT, nameless, cohort="one")[0] == 201
    assert ask("PUT", COHORT, DEFINITION, cohort="two")[0] == 400


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("no json", "Send a JSON object"),
        ([], "Send a JSON object"),
        (None, "Send a JSON object"),
        ({**DEFINITION, "members": {"all": [{"did": {"event": "fly"}}]}}, "members.all[0]"),
        ({**DEFINITION, "members": {"share": 2}}, "members.share: is a number from 0 to 1"),
    ],
)
def test_bad_definitions_are_refused(ask: Ask, body: Any, place: str) -> None:
    """With what is wrong, and where."""
    status, answer = ask("PUT", COHORT, body, cohort="one")
    assert status == 400
    assert place in answer["errors"][0]["description"]


def test_what_another_cohort_needs_stays(ask: Ask) -> None:
    """Deleting it would change the other one."""
    ask("PUT", COHORT, DEFINITION, cohort="one")
    ask("PUT", COHORT, {**DEFINITION, "name": "two", "members": {"not": {"cohort": "one"}}}, cohort="two")
    status, answer = ask("DELETE", COHORT, cohort="one")
    assert (status, "two" in answer["errors"][0]["description"]) == (409, True)
    assert ask("PUT", COHORT, {**DEFINITION, "subject": "company"}, cohort="one")[0] == 409


@pytest.mark.parametrize(
    ("scopes", "name", "status"), [("events:read", "me", 403), ("", "me", 403), ("cohorts:write", "", 401)]
)
@pytest.mark.parametrize("route", sorted(ROUTES))
def test_every_route_checks_its_caller(ask: Ask, route: str, scopes: str, name: str, status: int) -> None:
    """Before it looks at anything else."""
    method, path = route.split()
    assert ask(method, path, "no json", scopes=scopes, name=name)[0] == status


def test_large_bodies_are_refused(ask: Ask) -> None:
    """Whatever is in them."""
    assert ask("PUT", COHORT, "x" * 300_000, cohort="one")[0] == 413


@pytest.mark.parametrize("text", ["\0", "one\0", "\ud800", "é", "x" * 5_000, ""])
@pytest.mark.parametrize("route", sorted(route for route in ROUTES if "{" in route))
def test_no_name_is_a_fault_of_ours(ask: Ask, route: str, text: str) -> None:
    """Whatever stands in a path is refused, or unknown."""
    method, path = route.split()
    bodies: dict[str, Any] = {COHORT: DEFINITION, NOTIFICATION: DIGEST, "/api/v1/templates/{template}": HELLO}
    body = bodies.get(path, HELLO if path.endswith("dry-run") else {"user": "ada", "to": ["a@example.com"]})
    body = {key: value for key, value in body.items() if key != "name"} if method != "DELETE" else None
    assert ask(method, path, body, cohort=text, notification=text, template=text)[0] in (400, 404)


def test_whatever_fails_is_answered(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With our body; the log tells what and where, and nothing of anybody."""

    def fail(_change: Change) -> tuple[int, dict[str, Any]]:
        raise ValueError("ada@example.com")

    monkeypatch.setattr(app, "ROUTES", {f"PUT {COHORT}": fail})
    status, answer = ask("PUT", COHORT, DEFINITION, cohort="one")
    assert (status, answer["errors"][0]["code"]) == (500, "500")
    (record,) = caplog.records
    assert (record.levelname, record.error) == ("ERROR", "ValueError")  # type: ignore[attr-defined]
    assert record.where[-1].endswith(" fail")  # type: ignore[attr-defined]
    assert "ada@" not in str(record.__dict__)


def test_binary_bodies_are_read(evaluator: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """API Gateway encodes what it takes for binary."""
    database = Database(lambda: evaluator)
    monkeypatch.setattr(app, "_database", lambda: database)
    event = {
        "routeKey": f"PUT {COHORT}",
        "requestContext": {"authorizer": {"lambda": {"name": "me", "scopes": "admin"}}},
        "pathParameters": {"cohort": "one"},
        "body": base64.b64encode(json.dumps(DEFINITION).encode()).decode(),
        "isBase64Encoded": True,
    }
    assert app.handler(event, None)["statusCode"] == 201


def test_dry_run_tells_what_would_have_been(ask: Ask, connect: Connect) -> None:
    """By the day, and who would enter now; nothing of it stays."""
    world = World(connect)
    world.call("ada", 3600 * 30)
    world.call("bob", 3600 * 6)
    given = {**DEFINITION, "members": {"did": CALL, "count": {">=": 1}, "window": {"last": "24 hours"}}}
    status, answer = ask("POST", "/api/v1/cohorts/dry-run", {"definition": given, "days": 3})
    assert status == 200
    days, now = answer["results"]["days"], answer["results"]["now"]
    assert sum(day["entered"] for day in days) == 2
    assert len(days) == 3
    assert now["members"] == 0
    assert select(world.evaluator, "SELECT count(*) FROM memberships") == [(0,)]
    assert ask("POST", "/api/v1/cohorts/dry-run", {"definition": given, "days": 0})[0] == 400
    assert ask("POST", "/api/v1/cohorts/dry-run", {"definition": {}})[0] == 400


def test_dry_run_has_so_much_time_in_all(
    ask: Ask, connect: Connect, evaluator: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many statements it takes, from the first one on: the promised 503 comes before the function is ended."""
    world = World(connect)
    for number in range(3):
        world.call(f"u{number}", 3600 * (number + 1))
    monkeypatch.setattr(changes, "PATIENCE", timedelta(seconds=1))
    monkeypatch.setattr(rehearsal, "COHORTS", f"SELECT pg_sleep(0.3); {rehearsal.COHORTS}")
    monkeypatch.setattr(rehearsal, "FIND_SINCE", f"SELECT pg_sleep(0.3); {rehearsal.FIND_SINCE}")
    monkeypatch.setattr(rehearsal, "NOW", f"SELECT pg_sleep(0.6); {rehearsal.NOW}")
    given = {"definition": DEFINITION, "days": 2}
    began = monotonic()
    status, answer = ask("POST", "/api/v1/cohorts/dry-run", given)
    assert (status, answer["errors"][0]["message"]) == (503, "It took too long")
    assert monotonic() - began < 1.3
    monkeypatch.setattr(changes, "PATIENCE", timedelta(seconds=10))
    assert ask("POST", "/api/v1/cohorts/dry-run", given)[0] == 200
    assert select(evaluator, "SHOW statement_timeout") == [("0",)], "nothing of it stays"
    monkeypatch.setattr(changes, "PATIENCE", timedelta(seconds=0.2))
    monkeypatch.setattr(registering, "ALL_ADDRESSES", f"{registering.ALL_ADDRESSES} AND pg_sleep(0.5) IS NOT NULL")
    world.mail("new@example.com", 60)
    assert ask("POST", "/api/v1/cohorts/dry-run", given)[0] == 503


def test_notifications_are_saved_tested_and_deleted(ask: Ask) -> None:
    """Of a cohort that there is."""
    assert ask("PUT", NOTIFICATION, DIGEST, notification="team")[0] == 400
    ask("PUT", COHORT, DEFINITION, cohort="one")
    assert ask("PUT", NOTIFICATION, DIGEST, notification="team")[0] == 200
    assert ask("PUT", NOTIFICATION, {**DIGEST, "period": "soon"}, notification="team")[0] == 400
    status, answer = ask("POST", f"{NOTIFICATION}/test", notification="team")
    assert (status, answer["results"]["body"]["kind"]) == (202, "digest")
    assert ask("DELETE", NOTIFICATION, notification="team")[0] == 200
    assert ask("DELETE", NOTIFICATION, notification="team")[0] == 404
    assert ask("POST", f"{NOTIFICATION}/test", notification="team")[0] == 404


def test_templates_are_checked_and_saved(ask: Ask) -> None:
    """Each change is a version; what would fail when it is sent is refused with its part and line."""
    path = "/api/v1/templates/{template}"
    template = {"subject": "Hi {{ user.id }}", "html": "<p>{{ user.id }}</p>", "text": "Hi", "topic": "news"}
    saved = {"name": "hello", "version": 1, "changed": True, "parts": ["html", "subject", "text", "topic"]}
    assert ask("POST", f"{path}/dry-run", template, template="hello")[1]["results"] == saved
    assert ask("PUT", path, template, template="hello")[1]["results"] == saved, "a dry run saves nothing"
    assert ask("PUT", path, template, template="hello")[1]["results"] == {**saved, "changed": False, "parts": []}
    other = {**template, "text": "Hello", "mjml": "<mjml></mjml>"}
    changed = {**saved, "version": 2, "parts": ["mjml", "text"]}
    assert ask("POST", f"{path}/dry-run", other, template="hello")[1]["results"] == changed
    assert ask("PUT", path, other, template="hello")[1]["results"] == changed
    status, answer = ask("PUT", path, {**template, "html": "<p>\n{{ usr.id }}</p>"}, template="hello")
    assert (status, answer["errors"][0]["description"].partition(":")[0]) == (400, "html")
    assert "line 2: usr is unknown" in answer["errors"][0]["description"]
    assert ask("PUT", path, template, template="No Name")[0] == 400
    assert ask("POST", f"{path}/dry-run", {**template, "html": "{{"}, template="hello")[0] == 400
    long = {**template, "html": "<p>" + "ä" * 149_000, "text": "ä" * 149_000, "mjml": "ä" * 149_000}
    assert ask("PUT", path, long, template="hello")[0] == 200


def test_suppressions_are_added_and_removed(ask: Ask, evaluator: Connection) -> None:
    """By hand; the mailer hears of it with the next tick."""
    path, given = "/api/v1/suppressions", {"address": "Ada@Example.com"}
    assert ask("POST", path, given)[0] == 201
    assert ask("POST", path, given)[0] == 200
    assert select(evaluator, "SELECT address, topic, source FROM suppressions") == [("ada@example.com", "*", "me")]
    assert ask("DELETE", path, given)[0] == 200
    assert ask("DELETE", path, given)[0] == 404
    assert ask("POST", path, {"address": "nobody"})[0] == 400
    assert select(evaluator, "SELECT count(*) FROM outbox") == [(2,)]
