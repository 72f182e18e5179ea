"""What each provider is answered: events, handshakes, wrong secrets, outages."""

import hmac
import json
import logging
import re
from datetime import UTC, datetime
from typing import cast

import pytest

from common.objects import Bucket
from common.secrets import NamedSecrets
from providers import WebhookRequest, find_provider, list_mappings, list_providers
from providers.mandrill import TEST_KEY
from tests.fuzz.checks import make_gateway_event
from tests.unit.providers.payloads import Payload, list_payloads
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener import app, receiving
from webhook_listener.receiving import LARGEST_BODY, Receiver

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class World:
    """The listener with its stand-ins; `post` answers as API Gateway would pass it on."""

    def __init__(self, **secrets: list[str]) -> None:
        self.bucket = FakeBucket()
        self.secrets = FakeSecrets(**secrets)
        bucket, live = cast("Bucket", self.bucket), cast("NamedSecrets", self.secrets)
        self.receiver = Receiver(bucket=bucket, secrets=live, clock=lambda: NOW)

    def send(self, request: WebhookRequest) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of the answer."""
        answer = app.handler(make_gateway_event(request), None)
        return answer["statusCode"], answer["body"], answer["headers"]

    def send_payload(self, payload: Payload) -> int:
        """The status that a payload is answered, with its secrets, at its time."""
        self.secrets.secrets = {payload.request.provider: payload.secrets}
        self.receiver.clock = lambda: payload.now
        return self.send(payload.request)[0]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A listener in whose secret is nothing yet."""
    world = World()
    monkeypatch.setattr(app, "_receiver", lambda: world.receiver)
    return world


def make_request(
    provider: str, method: str = "POST", query: str = "", secret: str = "", **headers: str
) -> WebhookRequest:
    """A request without a body."""
    path = f"/webhooks/{provider}{'/' if secret else ''}{secret}"
    return WebhookRequest(provider, method, {"host": "hooks.example.com"} | headers, b"", query, path, secret)


HANDSHAKES = [
    ("elastic_email", "GET", ""),
    ("jangomail", "GET", "event=open"),
    ("mailpace", "GET", ""),
    ("mailpace", "HEAD", ""),
    ("mandrill", "HEAD", ""),
    ("unisender_go", "GET", ""),
]


@pytest.mark.parametrize(("provider", "method", "query"), HANDSHAKES)
@pytest.mark.parametrize("secrets", [[], ["secret"]])
def test_handshake_is_answered(world: World, provider: str, method: str, query: str, secrets: list[str]) -> None:
    """Who asks whether the URL is there is told so, before a secret is set and after; nothing is stored."""
    world.secrets.secrets = {provider: secrets}
    assert world.send(make_request(provider, method, query))[0] == 200
    assert world.bucket.objects == {}


@pytest.mark.parametrize("provider", sorted(set(list_providers()) - {name for name, *_ in HANDSHAKES}))
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_others_shake_no_hands(world: World, provider: str, method: str) -> None:
    """A provider that is not known to ask is told the methods that it may use."""
    world.secrets.secrets = {provider: ["secret"]}
    status, body, headers = world.send(make_request(provider, method))
    assert (status, headers["allow"]) == (405, "POST")
    assert "by POST" in body


@pytest.mark.parametrize("provider", list_providers())
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "post", ""])
def test_wrong_method_is_405(world: World, provider: str, method: str) -> None:
    """What is no method of the provider's is refused; the answer names those that are."""
    if provider == "mailpace":
        pytest.skip("answers whatever asks")
    found = find_provider(provider)
    assert found is not None
    world.secrets.secrets = {provider: ["secret"]}
    status, _, headers = world.send(make_request(provider, method, "a=b"))
    assert (status, headers["allow"]) == (405, ", ".join(found.METHODS))


def sign_mandrill(body: bytes, key: str) -> WebhookRequest:
    """A form signed as Mandrill does."""
    import base64

    request = make_request("mandrill")._replace(body=body)
    signed = b"https://hooks.example.com/webhooks/mandrill" + b"mandrill_events[]"
    signature = base64.b64encode(hmac.digest(key.encode(), signed, "sha1")).decode()
    headers = {"x-mandrill-signature": signature, "content-type": "application/x-www-form-urlencoded"}
    return request._replace(headers={**request.headers, **headers})


def test_mandrill_tries_a_url_by_post(world: World) -> None:
    """An empty list under the key that everybody knows is answered, and nothing stored; under another it is refused."""
    world.secrets.secrets = {"mandrill": ["the-key"]}
    assert world.send(sign_mandrill(b"mandrill_events=%5B%5D", TEST_KEY))[0] == 200
    assert world.bucket.objects == {}
    assert world.send(sign_mandrill(b"mandrill_events=%5B%5D", "guess"))[0] == 401
    assert world.send(sign_mandrill(b"mandrill_events=%5B%5D", "the-key"))[0] == 200
    assert len(world.bucket.objects) == 1


PAYLOADS = list_payloads()
BY_NAME = [pytest.param(payload, id=payload.name) for payload in PAYLOADS]
FIRST = {payload.request.provider: payload for payload in reversed(PAYLOADS)}
BY_PROVIDER = [pytest.param(FIRST[name], id=name) for name in [*list_providers(), *list_mappings()]]


@pytest.mark.parametrize("payload", BY_NAME)
def test_payload_is_stored_once(world: World, payload: Payload) -> None:
    """Events and pings of every provider are stored byte for byte and answered 200, each time that they come."""
    assert [world.send_payload(payload) for _ in range(2)] == [200, 200]
    ((body, metadata),) = world.bucket.objects.values()
    assert body == payload.body
    assert metadata["provider"] == payload.request.provider
    assert metadata.get("content-type", "") == payload.delivery.content_type
    assert metadata.get("query", "") == payload.delivery.query


# What a provider is told that would lose events, or be lost itself, under the usual 503 and 401.
ANSWERS = {"brevo": (429, 429), "mailpace": (200, 401)}


@pytest.mark.parametrize("payload", BY_PROVIDER)
@pytest.mark.parametrize("failing", ["bucket", "secrets"])
def test_outage_is_answered_so_that_it_sends_again(
    world: World, payload: Payload, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """While S3 or Secrets Manager fail: the status that makes it try again, and an error in the log; 200 after."""
    getattr(world, failing).failing = True
    assert world.send_payload(payload) == ANSWERS.get(payload.request.provider, (503, 401))[0]
    assert any(record.levelno == logging.ERROR and "not stored" in record.message for record in caplog.records)
    assert world.bucket.objects == {}
    getattr(world, failing).failing = False
    assert world.send_payload(payload) == 200
    assert len(world.bucket.objects) == 1


@pytest.mark.parametrize("payload", BY_PROVIDER)
def test_fault_of_ours_is_answered_so_that_it_sends_again(
    world: World, payload: Payload, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What nobody thought of is answered as an outage; the log tells the place, not what the exception says."""

    def fail(*_: object) -> None:
        raise KeyError("someone@example.com")

    monkeypatch.setattr(receiving, "store", fail)
    assert world.send_payload(payload) == ANSWERS.get(payload.request.provider, (503, 401))[0]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert re.fullmatch(r"not stored: KeyError at .*test_providers\.py:\d+", record.message)


@pytest.mark.parametrize("payload", BY_PROVIDER)
def test_without_a_secret_nothing_is_taken(world: World, payload: Payload, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that is not set up is refused, and an error in the log says what to add where."""
    world.receiver.clock = lambda: payload.now
    provider = payload.request.provider
    assert world.send(payload.request)[0] == ANSWERS.get(provider, (503, 401))[1]
    assert world.bucket.objects == {}
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message == f"no secret for {provider}: add it to the secret the-secret"


@pytest.mark.parametrize("payload", BY_PROVIDER)
def test_trial_goes_without_a_secret(world: World, payload: Payload, caplog: pytest.LogCaptureFixture) -> None:
    """A provider named in the setting for trials may send without proof; a warning says so each time.

    Once it has a secret, the setting means nothing.
    """
    provider = payload.request.provider
    world.receiver.unsigned = frozenset({provider})
    bare = payload.request._replace(
        headers={name: value for name, value in payload.request.headers.items() if name == "content-type"},
        path_secret="",
    )
    assert world.send(bare)[0] == 200
    assert len(world.bucket.objects) == 1
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (record.levelname, record.message.partition(":")[0]) == ("WARNING", f"no secret for {provider}")
    world.secrets.secrets = {provider: ["arn:aws:sns:eu-central-1:123456789012:other", "secret"]}
    request = bare._replace(body=bare.body.replace(b'"auth"', b'"oath"'))  # where the proof is in the body
    if b'"signature"' not in bare.body and b"signature" not in bare.body:
        assert world.send(request)[0] == ANSWERS.get(provider, (503, 401))[1]


@pytest.mark.parametrize("value", ["sendgrid mailgun", "sendgrid,mailgun", " sendgrid, mailgun ,"])
def test_trials_are_read_from_the_setting(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Names stand between commas or spaces; without the setting there are none."""
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RAW_BUCKET"):
        monkeypatch.setenv(name, "eu-central-1")
    monkeypatch.setenv("WEBHOOK_SECRET_ID", "the-secret")
    monkeypatch.setenv("UNSIGNED_PROVIDERS", value)
    assert Receiver.build().unsigned == {"sendgrid", "mailgun"}
    monkeypatch.setenv("UNSIGNED_PROVIDERS", "")
    assert Receiver.build().unsigned == frozenset()


SHARED = ["elastic_email", "jangomail", "postmark", "smtp_com", "sparkpost"]  # prove themselves by a password alone


@pytest.mark.parametrize("provider", SHARED)
@pytest.mark.parametrize(
    ("given", "status"), [("new", 200), ("old", 200), ("of-a-user", 200), ("wrong", 401), ("né", 401)]
)
def test_secret_in_the_path(world: World, provider: str, given: str, status: int) -> None:
    """Any live secret's password may be the path's last segment; a wrong one is refused."""
    world.secrets.secrets = {provider: ["new", "old", "user:of-a-user"]}
    assert world.send(make_request(provider, secret=given)._replace(body=b"[]"))[0] == status
    assert len(world.bucket.objects) == (status == 200)


@pytest.mark.parametrize("given", ["one", "three", "wrong"])
def test_path_is_compared_in_constant_time(world: World, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    """Every live secret is compared whole, whichever is right: the time taken tells nothing."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def note(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", note)
    world.secrets.secrets = {"sparkpost": ["one", "two", "three"]}
    world.send(make_request("sparkpost", secret=given))
    assert compared == [(given.encode(), secret) for secret in (b"one", b"two", b"three")]


@pytest.mark.parametrize("given", ["hunter2-right", "hunter2-wrong"])
@pytest.mark.parametrize("failing", [True, False])
def test_secret_of_the_path_is_not_logged(
    world: World, given: str, caplog: pytest.LogCaptureFixture, *, failing: bool
) -> None:
    """Right or wrong, it gets neither into the log nor the answer, the stored object's name or its metadata."""
    caplog.set_level(logging.DEBUG)
    world.secrets.secrets = {"sparkpost": ["hunter2-right"]}
    world.bucket.failing = failing
    answer = world.send(make_request("sparkpost", secret=given))
    shown = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    assert "hunter2" not in f"{shown} {answer} {world.bucket.objects}"


@pytest.mark.parametrize(
    "provider", ["nobody", "_sns", "__init__", "Sparkpost", "sparkpost ", "../sparkpost", "a" * 99]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_unknown_provider_is_404(world: World, provider: str, method: str) -> None:
    """A name that is no provider's is told so, whatever the method, also with a secret in the path."""
    world.secrets.secrets = {provider: ["secret"]}
    for secret in ("", "secret"):
        status, body, _ = world.send(make_request(provider, method, secret=secret))
        assert status == 404
        assert method == "HEAD" or json.loads(body)["errors"][0]["message"]


@pytest.mark.parametrize("provider", ["amazon_ses", "mailgun", "mandrill", "sparkpost"])
def test_largest_body_is_taken_and_a_larger_one_refused(world: World, provider: str) -> None:
    """5.9 MB are stored; 6 MB, and the 10 MB that API Gateway lets in, are told to be too many."""
    world.receiver.unsigned = frozenset({provider})
    request = make_request(provider)
    for size, status in ((LARGEST_BODY, 200), (6_000_000, 413), (10_000_000, 413)):
        assert world.send(request._replace(body=b"[" * size))[0] == status
    assert [len(body) for body, _ in world.bucket.objects.values()] == [LARGEST_BODY]
