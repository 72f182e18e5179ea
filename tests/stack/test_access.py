"""Who gets in, through the whole stack: every route, every way to send a key, every way to be refused."""

import base64
import json
import re
import time
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from admin.api_keys import create_api_key, revoke_api_key
from local.stack import Stack
from query_events.routes import ROUTES
from query_events.routing import ADMIN, READ_EVENTS, READ_PII
from tests.stack.client import await_events, call, make_event, make_recipient, post
from tests.unit.authorizer.oidc_issuer import Issuer

SEARCH = "/api/v1/events/message"
TARGETS = sorted({(re.sub(r"\{\w+\}", "0", route.path), route.scope) for route in ROUTES})


def make_key(stack: Stack, *scopes: str, name: str = "test") -> str:
    """A new API key."""
    return create_api_key(stack.client("dynamodb"), stack.name("ApiKeysTable"), name=name, scopes=scopes)


def ask(stack: Stack, target: str, authorization: str | None) -> tuple[int, str]:
    """Asks with an Authorization header; status and the error's description."""
    headers = {} if authorization is None else {"Authorization": authorization}
    status, _, body = call(stack, "GET", target, headers=headers)
    errors: list[dict[str, str]] = [{}] if status < 400 else json.loads(body)["errors"]
    return status, errors[0].get("description", "")


def encode(text: str) -> str:
    """Base64 of a text."""
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def revoked(stack: Stack) -> str:
    """A key that was revoked before it was ever used."""
    key = make_key(stack, ADMIN)
    revoke_api_key(stack.client("dynamodb"), stack.name("ApiKeysTable"), name_or_key=key)
    return key


@pytest.mark.parametrize(("target", "scope"), TARGETS)
def test_every_route_refuses(stack: Stack, issuer: Issuer, revoked: str, target: str, scope: str) -> None:
    """No key, a wrong or revoked one and a false token: 401, no hint. A narrow one: 403 that says what it lacks."""
    nobody = [
        None,
        "",
        "mw_" + "0" * 40,
        f"Bearer {revoked}",
        revoked,
        f"Basic {encode(revoked + ':')}",
        "Bearer " + issuer.make_token(aud="elsewhere", scope="events:read"),
        "Bearer " + issuer.make_token(exp=int(time.time()) - 60, scope="events:read"),
    ]
    answers = {ask(stack, target, authorization) for authorization in nobody}
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401
    narrow = READ_PII if scope != READ_PII else READ_EVENTS
    for authorization in (make_key(stack, narrow), "Bearer " + issuer.make_token(scope=narrow)):
        status, description = ask(stack, target, authorization)
        assert status == 403
        assert scope in description


@pytest.mark.parametrize(("target", "scope"), TARGETS)
def test_every_route_lets_in(stack: Stack, issuer: Issuer, target: str, scope: str) -> None:
    """With the scope, or as admin, one gets past the door: what is asked for may not be there."""
    allowed = [make_key(stack, scope), make_key(stack, ADMIN), "Bearer " + issuer.make_token(scope=f"openid {scope}")]
    for authorization in allowed:
        assert ask(stack, target, authorization)[0] in {200, 400, 404}


def test_key_comes_in_three_forms(stack: Stack) -> None:
    """As it is, as Bearer, and as the user of basic authentication."""
    key = make_key(stack, READ_EVENTS)
    for form in (key, f"Bearer {key}", f"Basic {encode(key + ':')}"):
        assert ask(stack, SEARCH, form)[0] == 200


@pytest.mark.parametrize("key_id", ["rsa", "ec", "ed"])
def test_token_asks(stack: Stack, issuer: Issuer, key_id: str) -> None:
    """Tokens of every kind of key get an answer."""
    assert ask(stack, SEARCH, "Bearer " + issuer.make_token(key_id))[0] == 200


def test_demo_key_may_see_addresses(stack: Stack) -> None:
    """The key that the local stack shows sees what was sent; one without pii:read sees it masked."""
    recipient = make_recipient()
    assert post(stack, [make_event(recipient, rcpt_meta={"note": "secret-note"})]) == 200
    await_events(stack, recipient, 1)

    def search(key: str) -> str:
        body = call(stack, "GET", f"{SEARCH}?recipients={recipient}", headers={"Authorization": key})[2]
        (found,) = json.loads(body)["results"]
        return json.dumps(found)

    assert recipient in search(stack.api_key)
    masked = search(make_key(stack, READ_EVENTS))
    assert recipient not in masked
    assert "secret-note" not in masked


def read_lines(stack: Stack, caller: str) -> list[dict[str, Any]]:
    """The query function's log lines of a caller."""
    lines = stack.log_path("QueryEvents").read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if f'"{caller}"' in line]


def test_log_says_who_asked_for_what(stack: Stack) -> None:
    """The line has route, status and the recipient's hash, the same for each request; refused ones too."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    key, narrow = make_key(stack, READ_EVENTS, name=name), make_key(stack, READ_PII, name=name)
    for recipient in ("ada@example.com", "Ada@Example.com%20", "bob@example.com"):
        assert ask(stack, f"{SEARCH}?recipients={recipient}", key)[0] == 200
    assert ask(stack, SEARCH, narrow)[0] == 403
    lines = read_lines(stack, name)
    assert [line["status"] for line in lines] == [200, 200, 200, 403]
    assert {line["path"] for line in lines} == {SEARCH}
    first, again, other = (line["recipients"] for line in lines[:3])
    assert first == again != other


def test_no_log_has_an_address(stack: Stack, issuer: Issuer) -> None:
    """Neither recipients nor metadata, keys, tokens or passwords come into any log, whatever goes wrong with them."""
    mark = f"planted{uuid.uuid4().hex[:12]}"
    address, meta = f"{mark}@example.com", f"value-{mark}"
    token = issuer.make_token(sub=address)
    events = [
        make_event(address, rcpt_meta={"user": meta}, subject=mark),
        make_event(address, timestamp=f"no time {mark}"),
        make_event(f"{mark}\0@example.com", rcpt_tags=[mark]),
        {"msys": {"message_event": {"type": mark, "rcpt_to": address}}},
        mark,
    ]
    assert post(stack, events) == 200
    await_events(stack, address, 1)
    wrong = {"Authorization": "Basic " + encode(f"mailwake:{mark}")}
    assert call(stack, "POST", "/webhooks/sparkpost", headers=wrong, body=b"[]")[0] == 401
    targets = [
        f"{SEARCH}?recipients={address}",
        f"{SEARCH}?{address}=1&metadata.user={meta}&from={address}&cursor={address}&per_page={mark}&events={mark}",
        f"/api/v1/recipients/{quote(address, safe='')}",
        f"/api/v1/events/{mark}",
        f"/api/v1/messages/{address}",
        f"/api/v1/nothing/{address}?{address}",
    ]
    keys = [
        stack.api_key,
        f"mw_{mark}",
        f"Bearer {token}",
        f"Bearer {token}x",
        f"Basic {encode(mark + ':')}",
        f"{mark} x",
    ]
    for target in targets:
        for key in keys:
            assert ask(stack, target, key)[0] < 500
    logs = {path.name: path.read_text(encoding="utf-8", errors="replace") for path in stack.directory.rglob("*.log")}
    assert {"QueryEvents.log", "S3Loader.log", "Authorizer.log", "WebhookListener.log", "HttpApi.log"} <= set(logs)
    secrets = [mark, encode(mark)[:-4], stack.api_key, token.split(".")[1], stack.webhook_password]
    found = {(name, secret) for name, text in logs.items() for secret in secrets if secret in text}
    assert found == set()
