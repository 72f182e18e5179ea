import subprocess
import sys
from pathlib import Path

import pytest

from authorizer import app
from authorizer.callers import UNKNOWN, Caller

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
