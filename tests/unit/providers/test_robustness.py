import base64
import json
import random
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import quote

import pytest

from common.events import Event, Unparseable
from common.objects import Bucket
from providers import Provider, UnverifiedError, WebhookRequest, list_providers
from tests.unit.providers.payloads import Payload, list_payloads
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener import app
from webhook_listener.receiving import Receiver
from webhook_listener.secrets import WebhookSecrets

PAYLOADS = list_payloads()
ROUNDS = 40  # of changes to a payload
# What nobody expects where a text, a number or an object was.
ODD: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        -(10**400),
        1e308,
        2**63,
        "",
        " ",
        "0",
        "\0",
        "\ud800",
        "\udfffx",
        "ä" * 700,
    ),
    *(
        "9" * 400,
        "2026-13-45T99:99:99Z",
        "1e999",
        "<>",
        "a@b@c",
        [],
        [None],
        [[]],
        {},
        {"": {}},
        {"a": None},
        [{"a": []}],
    ),
]
HEADERS = ["", " ", "=", "v1=", "v1,", "ts=1;s=2", "0" * 64, "MEUCIQ==", "é", "9" * 30, "-1", "Basic ", "Basic !", "\0"]


def change(value: Any, chance: random.Random) -> Any:
    """The value with one thing in it dropped, replaced or doubled."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        kind = chance.random()
        if kind < 0.15:
            return {key: entry for key, entry in value.items() if key != name}
        if kind < 0.2:
            return value | {chance.choice(["", "\ud800", "x" * 300]): value[name]}
        return value | {name: change(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        position = chance.randrange(len(value))
        return [*value[:position], change(value[position], chance), *value[position + 1 :]]
    return chance.choice(ODD)


def change_text(body: bytes, chance: random.Random) -> bytes:
    """The bytes with some cut out, doubled or replaced."""
    start = chance.randrange(len(body) + 1)
    end = min(len(body), start + chance.randrange(20))
    middle = chance.choice([b"", body[start:end] * 2, b"\xff", b"\0", b"%00", b"%", b'"', b"{", b"[" * 50, b"&=&"])
    return body[:start] + middle + body[end:]


def change_body(payload: Payload, chance: random.Random) -> bytes:
    """A body that is a little wrong."""
    try:
        document = json.loads(payload.body)
    except ValueError:
        return change_text(payload.body, chance)
    if chance.random() < 0.2:
        return change_text(payload.body, chance)
    for _ in range(chance.randint(1, 3)):
        document = change(document, chance)
    return json.dumps(document).encode()


def check_parsing(provider: Provider, body: bytes, payload: Payload) -> list[Event | Unparseable]:
    """Parses and restores; what was parsed."""
    found = list(provider.parse(body, payload.delivery))
    for entry in found:
        if isinstance(entry, Event):
            provider.restore(entry)
            assert entry.occurred_at.tzinfo is not None
            assert isinstance(entry.event_id, str)
            assert entry.event_id
            texts = (entry.recipient, entry.message_id, entry.transmission_id, entry.reason, entry.url, entry.event_id)
            assert not any("\0" in text for text in texts if text is not None)
        else:
            assert isinstance(entry, Unparseable)
            assert entry.reason
            assert "@" not in entry.reason
    return found


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in PAYLOADS])
def test_no_body_makes_parse_raise(payload: Payload) -> None:
    """Whatever is dropped, replaced or broken in a body becomes events or what is set aside, never an exception."""
    chance = random.Random(payload.name)  # the same changes every time
    for _ in range(ROUNDS):
        check_parsing(payload.provider, change_body(payload, chance), payload)


def nest(depth: int) -> bytes:
    """Arrays within arrays."""
    return b"[" * depth + b"]" * depth


STRANGE: dict[str, Callable[[Payload], bytes]] = {
    "empty": lambda _: b"",
    "no JSON": lambda _: b"hello",
    "bytes": lambda _: bytes(range(256)),
    "byte order mark": lambda payload: b"\xef\xbb\xbf" + payload.body,
    "NaN": lambda _: b"[NaN, Infinity]",
    "scalar": lambda _: b"5",
    "null": lambda _: b"null",
    "array of scalars": lambda _: b'[1, null, "x", [], true]',
    "array of objects": lambda _: b"[{}, {}]",
    "object": lambda _: b"{}",
    "repeated names": lambda payload: payload.body.replace(b"{", b'{"": 1, "": {"": 2}, ', 1),
    "deep": lambda _: nest(100_000),
    "deep in a field": lambda payload: payload.body.replace(b'"', b'"x": ' + nest(5000) + b', "', 1),
    "very deep": lambda _: b'{"a":' * 1_700_000,  # 8.5 MB
    "percent signs": lambda _: b"%" * 1000 + b"=&&=%zz",
    "form of nothing": lambda _: quote('{"a": "\ud83d"}', errors="surrogatepass").encode() + b"=1&mandrill_events=%5B",
}


@pytest.mark.parametrize("provider", list_providers())
@pytest.mark.parametrize("name", STRANGE)
def test_no_strange_body_makes_parse_raise(provider: str, name: str) -> None:
    """Empty, binary, huge and deeply nested bodies are set aside too."""
    for payload in list_payloads(provider)[:1]:
        check_parsing(payload.provider, STRANGE[name](payload), payload)


ARRAYS = [payload for payload in PAYLOADS if payload.body.lstrip().startswith(b"[{") and payload.events]


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in ARRAYS])
def test_one_wrong_item_does_not_harm_the_others(payload: Payload) -> None:
    """What is wrong is set aside with its place in the batch; the events beside it load as ever."""
    items = json.loads(payload.body)
    alone = check_parsing(payload.provider, payload.body, payload)
    mixed = check_parsing(payload.provider, json.dumps([5, *items, None]).encode(), payload)
    problems = [entry for entry in mixed if isinstance(entry, Unparseable)]
    assert [problem.position for problem in problems] == [0, len(items) + 1]
    assert [entry.event_id for entry in mixed if isinstance(entry, Event)] == [
        entry.event_id for entry in alone if isinstance(entry, Event)
    ]


def change_request(payload: Payload, chance: random.Random) -> WebhookRequest:
    """The request with headers, query, path or body that are a little wrong."""
    request = payload.request
    headers = dict(request.headers)
    for name in chance.sample(list(headers), chance.randint(0, len(headers))):
        if chance.random() < 0.4:
            del headers[name]
        else:
            given = headers[name]
            headers[name] = chance.choice([*HEADERS, given[: len(given) // 2], given + given, given[::-1]])
    body = change_body(payload, chance) if chance.random() < 0.7 else request.body
    query = chance.choice([request.query, "", "%", "a=b&&=", request.query[::-1]])
    secret = chance.choice([request.path_secret, "", "é", "\udc80", "x"])
    return request._replace(headers=headers, body=body, query=query, path_secret=secret)


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in PAYLOADS])
def test_verify_raises_one_error_only(payload: Payload) -> None:
    """Whatever a request looks like, the check passes or raises `UnverifiedError`; so does a secret of another form."""
    chance = random.Random(payload.name)  # the same changes every time
    for _ in range(ROUNDS):
        request = change_request(payload, chance)
        for secrets in (payload.secrets, [], ["é", "whsec_!", "-----BEGIN PUBLIC KEY-----", "a:b"]):
            try:
                payload.provider.handshake(request, secrets, payload.now)
                payload.provider.verify(request, secrets, payload.now)
            except UnverifiedError as failure:
                problem = str(failure)
            else:
                problem = ""
            assert "@" not in problem
        assert len(payload.provider.find_batch_id(request)) <= 5000


@pytest.mark.parametrize("payload", [pytest.param(payload, id=payload.name) for payload in PAYLOADS])
def test_listener_always_answers(payload: Payload, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler gives an answer that API Gateway understands, whatever comes."""
    provider = payload.request.provider
    receiver = Receiver(
        bucket=cast("Bucket", FakeBucket()),
        secrets=cast("WebhookSecrets", FakeSecrets(**{provider: payload.secrets})),
        clock=lambda: payload.now,
    )
    monkeypatch.setattr(app, "_receiver", lambda: receiver)
    chance = random.Random(payload.name)  # the same changes every time
    for changed in (False, *[True] * ROUNDS):
        request = change_request(payload, chance) if changed else payload.request
        answer = app.handler(
            {
                "pathParameters": {"provider": provider, "secret": request.path_secret},
                "rawPath": request.path,
                "rawQueryString": request.query,
                "headers": dict(request.headers),
                "requestContext": {"http": {"method": request.method}, "requestId": "r"},
                "body": base64.b64encode(request.body).decode(),
                "isBase64Encoded": True,
            },
            None,
        )
        assert 200 <= answer["statusCode"] < 600
        assert changed or answer["statusCode"] == 200
