import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authorizer.callers import UNAVAILABLE, UNKNOWN, Caller
from authorizer.issuer import IssuerKeys, fetch_json
from authorizer.tokens import (
    LEEWAY_SECONDS,
    MOST_CHARACTERS,
    Tokens,
    TokenSettings,
    build_name,
    map_scopes,
    read_claim,
    read_scope_map,
)
from common.settings import SettingError
from tests.unit.authorizer.oidc_issuer import AUDIENCE, Issuer, encode, encode_json, sign, sign_with_public_key

NOW = 1_790_000_000.5
SUBJECT = "oidc:auth0|5f7c8ec7c33c6c004bbafe82"
READER = Caller(name=SUBJECT, scopes="events:read")


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> float:
        """The time."""
        return self.time


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """A running issuer."""
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    """The clock of issuer and authorizer."""
    return Clock()


def build_tokens(issuer: Issuer, clock: Clock, **settings: Any) -> Tokens:
    """What checks the issuer's tokens."""
    chosen = TokenSettings(issuer=issuer.url, audiences=("other", AUDIENCE), scope_claim="scope", scope_map={})
    keys = IssuerKeys(issuer.url, partial(fetch_json, loopback=True), clock)
    return Tokens(chosen._replace(**settings), keys, clock)


@pytest.fixture
def tokens(issuer: Issuer, clock: Clock) -> Tokens:
    """What checks the issuer's tokens."""
    return build_tokens(issuer, clock)


@pytest.mark.parametrize("key_id", ["rsa", "ec", "ed"])
def test_valid_token_is_taken(issuer: Issuer, tokens: Tokens, key_id: str) -> None:
    """RS256, ES256 and EdDSA; the caller has the subject's name and the scopes that are ours."""
    assert tokens.find(issuer.make_token(key_id, at=NOW)) == READER


GOOD: dict[str, dict[str, Any]] = {
    "audience in a list": {"aud": ["elsewhere", AUDIENCE]},
    "client instead of audience, as Cognito's": {"aud": None, "client_id": AUDIENCE, "token_use": "access"},
    "type of RFC 9068": {"header": {"typ": "at+jwt"}},
    "no type": {"header": {"typ": None}},
    "unknown header": {"header": {"nonce": "x"}},
    "just expired by another clock": {"exp": int(NOW) - LEEWAY_SECONDS + 1},
    "not yet valid by another clock": {"nbf": int(NOW) + LEEWAY_SECONDS, "iat": int(NOW) + LEEWAY_SECONDS},
    "neither nbf nor iat": {"nbf": None, "iat": None},
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD.keys())
def test_valid_forms(issuer: Issuer, tokens: Tokens, changes: dict[str, Any]) -> None:
    """What issuers do differently, and clocks that differ a little, are taken."""
    assert tokens.find(issuer.make_token(at=NOW, **changes)) == READER


BAD: dict[str, dict[str, Any]] = {
    "expired": {"exp": int(NOW) - LEEWAY_SECONDS},
    "not yet valid": {"nbf": int(NOW) + LEEWAY_SECONDS + 1},
    "issued in the future": {"iat": int(NOW) + LEEWAY_SECONDS + 1},
    "no expiry": {"exp": None},
    "expiry that is no number": {"exp": "2099"},
    "expiry that is no number at all": {"exp": float("nan")},
    "wrong issuer": {"iss": "https://issuer.example.com"},
    "issuer with a slash more": {"iss": "http://127.0.0.1/realms/test/"},
    "no issuer": {"iss": None},
    "wrong audience": {"aud": "elsewhere"},
    "no audience": {"aud": None},
    "empty audience": {"aud": []},
    "audience of numbers": {"aud": [1]},
    "wrong audience, right client": {"aud": "elsewhere", "client_id": AUDIENCE},
    "wrong client": {"aud": None, "client_id": "elsewhere"},
    "token for the client itself, as Cognito's": {"token_use": "id"},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject that is no text": {"sub": 7},
    "another kind of token": {"header": {"typ": "logout+jwt"}},
    "unknown key": {"header": {"kid": "unknown"}},
    "no key named, where there are several": {"header": {"kid": None}},
    "key of another kind": {"header": {"kid": "ec"}},
    "algorithm of another key": {"header": {"alg": "ES256"}},
    "algorithm that is not allowed": {"header": {"alg": "RS512"}},
    "extension that must be understood": {"header": {"crit": ["exp"], "exp": 1}},
    "key id that is no text": {"header": {"kid": 7}},
    "huge header": {"header": {"x": "x" * 1000}},
    "huge token": {"more": "x" * MOST_CHARACTERS},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
def test_bad_token_is_nobodys(issuer: Issuer, tokens: Tokens, changes: dict[str, Any]) -> None:
    """Signed by the issuer, yet not for us, not now, or not by an algorithm that we trust."""
    assert tokens.find(issuer.make_token(at=NOW)) == READER
    assert tokens.find(issuer.make_token(at=NOW, **changes)) == UNKNOWN


def test_forged_token_is_nobodys(issuer: Issuer, tokens: Tokens) -> None:
    """No signature, another's signature, changed claims, and the public key as a shared secret."""
    header, claims = {"alg": "RS256", "kid": "rsa"}, issuer.build_claims(at=NOW)
    key = issuer.keys["rsa"]
    assert tokens.find(sign(key, header, claims)) == READER
    head, body, signature = sign(key, header, claims).split(".")
    changed = encode_json({**claims, "sub": "someone-else"})
    forged = [
        f"{encode_json({'alg': 'none', 'kid': 'rsa'})}.{body}.",
        f"{encode_json({'alg': 'none', 'kid': 'rsa'})}.{body}.{signature}",
        f"{encode_json({'alg': 'NONE', 'kid': 'rsa'})}.{body}.",
        f"{encode_json({'kid': 'rsa'})}.{body}.{signature}",
        f"{head}.{body}.",
        f"{head}.{changed}.{signature}",
        f"{head}.{body}.{signature[:-8]}AAAAAAAA",
        sign(rsa.generate_private_key(65537, 2048), header, claims),
        sign_with_public_key(key, header, claims),
        sign(key, {**header, "b64": False, "crit": ["b64"]}, claims),
    ]
    assert [tokens.find(token) for token in forged] == [UNKNOWN] * len(forged)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "..",
        "a.b.c",
        "é.é.é",
        "\ud800.x.y",
        "\0.\0.\0",
        "e30.e30.e30",
        f"{encode(b'[' * 300)}.e30.e30",
        "....",
        "=.=.=",
    ],
)
def test_garbage_is_nobodys(tokens: Tokens, token: str) -> None:
    """What is no token at all is refused like a wrong one."""
    assert tokens.find(token) == UNKNOWN


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "b64", "x5c", "cty"])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(header=st.dictionaries(NAMES, json_values), algorithm=st.sampled_from(["RS256", "ES256", "EdDSA", "none"]))
def test_no_header_is_a_failure(header: dict[str, Any], algorithm: str) -> None:
    """Whatever a header holds, the answer is a refusal and not a crash: anyone can send it."""
    never = IssuerKeys("https://issuer.example.com", lambda _: {})
    chosen = TokenSettings(issuer="x", audiences=("y",), scope_claim="scope", scope_map={})
    token = f"{encode_json({'alg': algorithm, **header})}.e30.AAAA"
    assert Tokens(chosen, never).find(token) in {UNKNOWN, UNAVAILABLE}


@pytest.mark.parametrize("claims", [[], "text", None, 1])
def test_claims_must_be_an_object(issuer: Issuer, tokens: Tokens, claims: object) -> None:
    """Signed JSON that is no object is no token."""
    assert tokens.find(sign(issuer.keys["rsa"], {"alg": "RS256", "kid": "rsa"}, claims)) == UNKNOWN


def test_missing_scope_claim_gives_no_scope(issuer: Issuer, tokens: Tokens) -> None:
    """The bearer is known and may do nothing: 403, not 401."""
    assert tokens.find(issuer.make_token(at=NOW, scope=None)) == Caller(name=SUBJECT)


def test_scopes_are_mapped(issuer: Issuer, clock: Clock) -> None:
    """Values of the claim stand for scopes; those that the map does not have stand for nothing."""
    scope_map = read_scope_map("Support Team=events:read+pii:read, owners = admin")
    tokens = build_tokens(issuer, clock, scope_claim="realm_access.roles", scope_map=scope_map)

    def find(*roles: str) -> str:
        return tokens.find(issuer.make_token(at=NOW, realm_access={"roles": [*roles]}, scope="admin")).scopes

    assert find("Support Team", "offline_access") == "events:read pii:read"
    assert find("Support Team", "owners") == "admin events:read pii:read"
    assert find("admin", "events:read") == ""


def test_unmapped_admin_is_nothing() -> None:
    """A common word in someone else's directory makes nobody an admin; naming it in the map does."""
    assert map_scopes(frozenset({"admin", "events:read", "openid"}), {}) == {"events:read"}
    assert map_scopes(frozenset({"admin"}), read_scope_map("admin=admin")) == {"admin"}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("scope", {"a", "b:c"}),
        ("permissions", {"a b", "c"}),
        ("cognito:groups", {"g"}),
        ("realm_access.roles", {"r"}),
        ("https://x.example/roles", {"u"}),
        ("missing", set()),
        ("realm_access", set()),
        ("scope.x", set()),
        ("realm_access.roles.r", set()),
        ("number", set()),
    ],
)
def test_claims_are_found_by_path(path: str, values: set[str]) -> None:
    """Text with spaces or a list, in an object or under a name with dots; what is neither gives nothing."""
    claims = {
        "scope": "a b:c",
        "permissions": ["a b", "c", 7],
        "cognito:groups": ["g"],
        "realm_access": {"roles": ["r"]},
        "https://x.example/roles": ["u"],
        "number": 7,
    }
    assert read_claim(claims, path) == values


@pytest.mark.parametrize("text", ["support", "=admin", "support=", "a=admin,b"])
def test_broken_map_is_a_mistake_in_the_settings(text: str) -> None:
    """It must be seen, not taken for a map that allows nothing."""
    with pytest.raises(SettingError, match="OIDC_SCOPE_MAP"):
        read_scope_map(text)


@pytest.mark.parametrize("name", ["OIDC_ISSUER", "OIDC_AUDIENCE"])
def test_settings_are_complete(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An issuer without an audience would let in what is meant for others."""
    for one, value in {"OIDC_ISSUER": "https://x.example/", "OIDC_AUDIENCE": "a, b"}.items():
        monkeypatch.setenv(one, value)
    assert TokenSettings.read() == TokenSettings("https://x.example/", ("a", "b"), "scope", {})
    monkeypatch.setenv(name, "")
    with pytest.raises(SettingError, match=name):
        TokenSettings.read()


@pytest.mark.parametrize("subject", ["ada@example.com", "clients@x", "ad a", "a" * 200, "ü", "a\nb", "\ud800"])
def test_subject_that_may_be_an_address_is_hashed(subject: str) -> None:
    """The name goes into logs: it never shows an address, and tells subjects apart."""
    name = build_name(subject)
    assert name.startswith("oidc:sha256-")
    assert subject not in name
    assert name != build_name(subject + "x")


def test_refusal_tells_nothing_of_the_token(issuer: Issuer, tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    """The log has the reason; neither the token nor its claims."""
    caplog.set_level(logging.DEBUG, logger="authorizer.tokens")
    token = issuer.make_token(at=NOW, aud="elsewhere", sub="ada@example.com")
    assert tokens.find(token) == UNKNOWN
    (record,) = caplog.records
    assert vars(record)["reason"] == "InvalidClaimError"
    text = json.dumps(vars(record), default=str)
    assert not [piece for piece in (*token.split("."), "ada@", "elsewhere") if piece in text]


def test_issuer_that_is_down_is_no_refusal(issuer: Issuer, clock: Clock) -> None:
    """While nobody can tell, the answer is that, and the next try is not long in coming."""
    tokens = build_tokens(issuer, clock)
    issuer.down = True
    try:
        assert tokens.find(issuer.make_token(at=NOW)) == UNAVAILABLE
    finally:
        issuer.down = False
    assert tokens.find(issuer.make_token(at=NOW)) == UNAVAILABLE
    clock.time += 10
    assert tokens.find(issuer.make_token(at=NOW)) == READER
