import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from authorizer import app
from authorizer.callers import UNKNOWN, Caller
from common.sessions import COOKIE, Session

JWT = "eyJhbGciOiJub25lIn0.e30."


class Found:
    """Stands in for keys or tokens: knows everybody."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find(self, given: str) -> Caller:
        """Who comes."""
        return Caller(name=f"{self.name}:{given}")


@pytest.fixture(autouse=True)
def world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys and tokens that know everybody, and an issuer."""
    monkeypatch.setattr(app, "_keys", lambda: Found("key"))
    monkeypatch.setattr(app, "_tokens", lambda: Found("token"))
    monkeypatch.setenv("OIDC_ISSUER", "https://issuer.example.com")


@pytest.mark.parametrize("header", [f"Bearer {JWT}", f"bearer {JWT}", f" Bearer   {JWT} "])
def test_bearer_with_two_dots_is_a_token(header: str) -> None:
    """It goes to the issuer's keys, not to the table of API keys."""
    assert app.find_caller(header).name == f"token:{JWT}"


@pytest.mark.parametrize("header", ["", "mw_1", "Bearer mw_1", "Basic bXdfMTo=", JWT, f"Basic {JWT}", "Bearer a.b.c.d"])
def test_all_else_is_an_api_key(header: str) -> None:
    """Keys have no dots, and a token comes as Bearer only."""
    assert app.find_caller(header).name == f"key:{header}"


def test_without_an_issuer_there_are_no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is then a wrong key like any other."""
    monkeypatch.setenv("OIDC_ISSUER", "")
    assert app.find_caller(f"Bearer {JWT}").name == f"key:Bearer {JWT}"


def test_answer_is_api_gateways(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context has texts only; who is refused is let through to the function that says so."""
    assert app.handler({"headers": {"Authorization": "mw_1"}}, None) == {
        "isAuthorized": True,
        "context": {"name": "key:mw_1", "scopes": "", "refusal": ""},
    }
    monkeypatch.setattr(app, "find_caller", lambda given: UNKNOWN if not given else None)
    assert app.handler({}, None)["context"]["refusal"] == "unauthorized"


def test_api_keys_do_not_wait_for_cryptography() -> None:
    """What checks tokens is not imported before one comes."""
    script = (
        "import sys, authorizer.app; print(sorted({'joserfc', 'cryptography', 'authorizer.tokens'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(app.__file__).parents[1],
    )
    assert done.stdout.strip() == "[]"


class FoundSession:
    """Stands in for the table of sessions: two that are known."""

    def find(self, session_id: str) -> Session | None:
        """A session by a key, and one by a token."""
        by_key = Session("old name", "admin", "hash", 2**40, 2**40)
        return {"by-key": by_key, "by-token": by_key._replace(key_hash="", name="oidc:ada")}.get(session_id)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sessions, and a table of keys that tells what was asked of it."""
    monkeypatch.setattr(app, "_sessions", FoundSession)
    monkeypatch.setattr(Found, "find_hash", lambda self, key_hash: Caller(f"hash:{key_hash}"), raising=False)


def build_event(session_id: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    """A request of a page with the console's cookie."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "headers": {"Sec-Fetch-Site": "same-origin", **named},
        "cookies": ["a=b", f"{COOKIE}={session_id}"],
        "requestContext": {"http": {"method": method}},
    }


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_cookie_of_the_console_lets_its_pages_read(method: str) -> None:
    """By a key, what the key allows now counts; by a token, what it allowed at the sign-in."""
    assert app.handler(build_event("by-key", method), None)["context"]["name"] == "hash:hash"
    context = app.handler(build_event("by-token", method), None)["context"]
    assert context == {"name": "oidc:ada", "scopes": "admin", "refusal": ""}


@pytest.mark.usefixtures("sessions")
def test_cookie_of_an_ended_session_is_refused() -> None:
    """As a wrong key is."""
    assert app.handler(build_event("gone"), None)["context"]["refusal"] == "unauthorized"


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "", "same-origin, cross-site"])
def test_cookie_counts_only_for_the_consoles_own_pages(site: str) -> None:
    """Not for another site, a neighbouring host or the address bar, whatever the browser sends along."""
    event = build_event("by-key", **{"Sec-Fetch-Site": site})
    assert app.handler(event, None)["context"]["name"] == "key:"


PREVIEW = "POST /api/v1/templates/{template}/preview"
REMOVE = "DELETE /api/v1/suppressions"


def build_change(route: str, **headers: str) -> dict[str, Any]:
    """A request that is more than reading, with the console's cookie."""
    return {**build_event("by-key", route.partition(" ")[0], **headers), "routeKey": route}


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_cookie_changes_nothing_else(method: str) -> None:
    """Whatever header comes with it."""
    for route in (f"{method} /api/v1/cohorts/{{cohort}}", f"{method} /api/v1/suppressions/{{one}}", "$default", ""):
        event = {**build_change(route, **{"X-Mailwake-Console": "1"})}
        event["requestContext"]["http"]["method"] = method
        assert app.handler(event, None)["context"]["name"] == "key:"


@pytest.mark.usefixtures("sessions")
@pytest.mark.parametrize("route", [PREVIEW, REMOVE])
def test_cookie_previews_and_takes_off_the_list(route: str) -> None:
    """For a script of the console's own page, which says so in a header; for no form and no other site."""
    assert app.handler(build_change(route, **{"X-Mailwake-Console": "1"}), None)["context"]["name"] == "hash:hash"
    for headers in (
        {},
        {"X-Mailwake-Console": "0"},
        {"X-Mailwake-Console": "1", "Sec-Fetch-Site": "cross-site"},
        {"X-Mailwake-Console": "1", "Sec-Fetch-Site": "same-site"},
        {"X-Mailwake-Console": "1", "Sec-Fetch-Site": ""},
    ):
        assert app.handler(build_change(route, **headers), None)["context"]["name"] == "key:"


@pytest.mark.usefixtures("sessions")
def test_key_goes_before_the_cookie() -> None:
    """Who sends a key is meant by it, also if it is wrong."""
    assert app.handler(build_event("by-key", Authorization="mw_1"), None)["context"]["name"] == "key:mw_1"
