from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from console import oidc
from console.oidc import Attempt, SignInError
from tests.unit.authorizer.oidc_issuer import AUDIENCE, Issuer

RETURN = "https://example.com/console/signed-in"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    """A running issuer, and the settings for it. The browser's tests sign in with one that takes codes, too."""
    with Issuer() as issuer:
        issuer.says = {"authorization_endpoint": f"{issuer.url}/a?b=c", "token_endpoint": f"{issuer.url}/token"}
        settings = {
            "ISSUER": issuer.url,
            "AUDIENCE": f"{AUDIENCE},other",
            "CLIENT_ID": "console",
            "TLS": "not-on-loopback",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"OIDC_{name}", value)
        monkeypatch.setenv("OIDC_CLIENT_SCOPE", "openid api://one/two")
        yield issuer


def test_attempt_is_read_as_it_was_written() -> None:
    """And is different every time; anything else is none."""
    attempt = Attempt.make()
    assert Attempt.decode(attempt.encode()) == attempt
    assert len({*attempt, *Attempt.make()}) == 6
    for text in ("", "a.b", "a.b.", "a.b.c.d"):
        assert Attempt.decode(text) is None


def test_browser_is_sent_with_all_that_the_answer_is_held_against(issuer: Issuer) -> None:
    """The challenge is of RFC 7636's example; a query that the endpoint has stays."""
    attempt = Attempt("state", "nonce", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    parts = urlsplit(oidc.Issuer().build_url(attempt, RETURN))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{issuer.url}/a"
    assert {name: value for name, (value,) in parse_qs(parts.query).items()} == {
        "b": "c",
        "response_type": "code",
        "client_id": "console",
        "redirect_uri": RETURN,
        "scope": "openid api://one/two",
        "state": "state",
        "nonce": "nonce",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "audience": AUDIENCE,
    }


@pytest.mark.parametrize(
    ("says", "down", "words"),
    [
        ({}, True, "can't be reached"),
        ({"issuer": "https://another.example.com"}, False, "another one"),
        ({"authorization_endpoint": "http://login.example.com/a"}, False, "does not say where"),
        ({"authorization_endpoint": "javascript:alert(1)"}, False, "does not say where"),
        ({"authorization_endpoint": None}, False, "does not say where"),
    ],
)
def test_nobody_is_sent_where_an_issuer_should_not_be(
    issuer: Issuer, says: dict[str, str], down: bool, words: str
) -> None:
    """It is said what is wrong, and asked again the next time."""
    issuer.says |= says
    issuer.down = down
    with pytest.raises(SignInError, match=words):
        oidc.Issuer().build_url(Attempt.make(), RETURN)


def test_answer_of_another_issuer_is_refused(issuer: Issuer) -> None:
    """Before the code is sent anywhere (RFC 9207)."""
    with pytest.raises(SignInError, match="another issuer"):
        oidc.Issuer().finish(Attempt.make(), "code", "https://another.example.com", RETURN)


def test_issuer_that_fails_at_the_exchange_is_told(issuer: Issuer) -> None:
    """Its token endpoint answers POST with an error here; nothing it says is shown."""
    with pytest.raises(SignInError, match="can't be reached"):
        oidc.Issuer().finish(Attempt.make(), "code", issuer.url, RETURN)
