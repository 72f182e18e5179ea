import http.client
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from authorizer import issuer as module
from authorizer.issuer import (
    FRESH_SECONDS,
    KEPT_SECONDS,
    PAUSE_SECONDS,
    RETRY_SECONDS,
    IssuerError,
    IssuerKeys,
    fetch_json,
    read_keys,
)
from tests.unit.authorizer.oidc_issuer import Issuer, build_jwk

fetch_loopback = partial(fetch_json, loopback=True)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = 1_790_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.time


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """A running issuer."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def keys(issuer: Issuer, clock: Clock) -> IssuerKeys:
    """The issuer's keys."""
    return IssuerKeys(issuer.url, fetch_loopback, clock)


def test_keys_are_fetched_once_an_hour(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    """Nobody waits for the issuer but the first within an hour."""
    assert issuer.fetches == 0
    for _ in range(3):
        assert keys.find("rsa")
        clock.time += FRESH_SECONDS / 4
    assert issuer.fetches == 1
    clock.time += FRESH_SECONDS
    assert keys.find("rsa")
    assert issuer.fetches == 2


def test_new_key_is_found_and_old_one_forgotten(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    """A key id that nobody knows makes the keys be fetched again."""
    assert keys.find("rsa")
    issuer.rotate("next")
    clock.time += PAUSE_SECONDS
    assert keys.find("next")
    assert keys.find("rsa") is None


def test_unknown_keys_do_not_wear_the_issuer_out(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    """However many ids are made up, the issuer is asked once a minute at most."""
    for second in range(PAUSE_SECONDS * 2):
        assert keys.find(f"made-up-{second}") is None
        clock.time += 1
    assert issuer.fetches == 2


def test_last_keys_hold_while_the_issuer_is_down(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    """For some hours, not for ever; it is asked again all the while, though not all the time."""
    assert keys.find("rsa")
    issuer.down = True
    clock.time += FRESH_SECONDS + 1
    for _ in range(10):
        assert keys.find("rsa")
    assert issuer.fetches == 1  # discovery fails first
    clock.time += KEPT_SECONDS - FRESH_SECONDS - 2
    assert keys.find("rsa")
    clock.time += 2
    with pytest.raises(IssuerError):
        keys.find("rsa")
    issuer.down = False
    clock.time += RETRY_SECONDS
    assert keys.find("rsa")


def test_key_without_an_id_is_found_if_it_is_the_only_one(issuer: Issuer, clock: Clock) -> None:
    """Where there are several, which one is meant is not guessed."""
    assert IssuerKeys(issuer.url, fetch_loopback, clock).find(None) is None
    jwk = build_jwk("rsa", issuer.keys["rsa"])
    del jwk["kid"]
    issuer.published = [jwk]
    assert IssuerKeys(issuer.url, fetch_loopback, clock).find(None)


def test_another_issuer_is_refused(issuer: Issuer, clock: Clock) -> None:
    """Discovery must name the issuer that was asked, to the letter."""
    issuer.says = {"issuer": issuer.url + "/"}
    with pytest.raises(IssuerError):
        IssuerKeys(issuer.url, fetch_loopback, clock).find("rsa")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/keys",
        "http://issuer.example.com/keys",
        "http://localhost:1/keys",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "https://",
        "",
        "None",
        "https://[",
    ],
)
def test_only_https_is_asked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Keys over plain http could be anybody's; so could those of a file."""
    forbid_http(monkeypatch)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", refuse)
    with pytest.raises(IssuerError):
        fetch_json(url)


def forbid_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """To this thread: a local stack of other tests may have threads that go on asking."""
    connect, ours = http.client.HTTPConnection.connect, threading.get_ident()

    def fail_or_connect(connection: http.client.HTTPConnection) -> None:
        if threading.get_ident() == ours:
            pytest.fail("plain http")
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", fail_or_connect)


def refuse(_connection: object) -> None:
    """A network that is not there."""
    raise OSError


@pytest.mark.parametrize("url", ["http://localhost:1/", "http://127.0.0.1.example.com/", "http://10.0.0.1/"])
def test_loopback_is_one_address(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The local stack's exception is for 127.0.0.1 and nothing like it."""
    forbid_http(monkeypatch)
    with pytest.raises(IssuerError):
        fetch_loopback(url)


def test_huge_answer_is_not_read(issuer: Issuer) -> None:
    """An answer without end can't fill the memory."""
    issuer.says = {"padding": "x" * module.MOST_BYTES}
    with pytest.raises(IssuerError):
        fetch_loopback(f"{issuer.url}/.well-known/openid-configuration")


def test_error_of_the_issuer_is_not_taken_for_keys(issuer: Issuer) -> None:
    """Only a 200 counts."""
    with pytest.raises(IssuerError, match="503"):
        fetch_loopback(f"{issuer.url}/nothing")


def test_unfit_keys_are_left_out(issuer: Issuer) -> None:
    """Shared secrets, keys for encryption, short ones and nonsense; the others stay."""
    good = build_jwk("good", issuer.keys["ec"])
    weak = build_jwk("weak", rsa.generate_private_key(65537, 1024))
    unfit: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "secret"},
        {**build_jwk("encryption", issuer.keys["rsa"]), "use": "enc"},
        weak,
        {"kty": "RSA", "kid": "incomplete"},
        {"kty": "AKP", "kid": "unknown"},
        {"kid": "typeless"},
        {**good, "x": "!", "kid": "broken"},
        {**good, "x": 7, "kid": "number"},
        "text",
        None,
        7,
    ]
    assert set(read_keys({"keys": [*unfit, good]})) == {"good"}


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": []}])
def test_no_keys_are_an_error(issuer: Issuer, clock: Clock, document: dict[str, Any]) -> None:
    """Such an answer does not replace the keys that were there."""
    discovery = {"issuer": issuer.url, "jwks_uri": "https://x.example/keys"}
    keys = IssuerKeys(issuer.url, lambda url: document if url.endswith("/keys") else discovery, clock)
    assert read_keys(document) == {}
    with pytest.raises(IssuerError):
        keys.find("rsa")
