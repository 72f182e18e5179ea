import base64
import gzip
import json
import logging
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from common.objects import Bucket
from common.secrets import NamedSecrets
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener import app
from webhook_listener.receiving import LARGEST_BODY, Receiver

NOW = datetime(2026, 11, 21, 9, 30, 5, 123_000, tzinfo=UTC)
EMPTY_GZIP = gzip.compress(b"[]", mtime=0)
AUTHORIZATION = "Basic " + base64.b64encode(b"mailwake:secret").decode()


class World:
    """The listener with its stand-ins."""

    def __init__(self) -> None:
        self.bucket = FakeBucket()
        self.secrets = FakeSecrets(sparkpost=["secret", "older"])
        self.receiver = Receiver(
            bucket=cast("Bucket", self.bucket), secrets=cast("NamedSecrets", self.secrets), clock=lambda: NOW
        )

    def post(
        self,
        body: bytes | str | None,
        *,
        method: str = "POST",
        provider: str = "sparkpost",
        secret: str = "",
        **headers: str,
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Sends a webhook as API Gateway hands it over; status, decoded body and headers of the answer."""
        binary = isinstance(body, bytes)
        sent = {"Authorization": AUTHORIZATION} | {name.replace("_", "-"): value for name, value in headers.items()}
        event = {
            "pathParameters": {"provider": provider} | ({"secret": secret} if secret else {}),
            "rawPath": f"/webhooks/{provider}" + (f"/{secret}" if secret else ""),
            "rawQueryString": "",
            "headers": {name: value for name, value in sent.items() if value},
            "requestContext": {"http": {"method": method}, "requestId": "request-1"},
            "body": base64.b64encode(cast("bytes", body)).decode() if binary else body,
            "isBase64Encoded": binary,
        }
        response = app.handler(event, None)
        return response["statusCode"], json.loads(response["body"]), response["headers"]

    @property
    def stored(self) -> tuple[bytes, dict[str, str]]:
        """The one stored object."""
        ((_, stored),) = self.bucket.objects.items()
        return stored


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A listener that is set up for SparkPost."""
    world = World()
    monkeypatch.setenv("WEBHOOK_SECRET_ID", "the-secret")
    monkeypatch.setattr(app, "_receiver", lambda: world.receiver)
    return world


def test_body_is_stored_and_answered(world: World) -> None:
    """A batch is kept byte for byte with what is needed to parse it later, and answered exactly 200."""
    body = '[ {"msys":{}}, "ä\\u00e4" ]'
    headers = {"Content-Type": "application/json", "X-MessageSystems-Batch-ID": "0f3a"}
    status, answer, _ = world.post(body, **headers)
    assert (status, answer) == (200, {})
    assert world.stored == (
        body.encode(),
        {
            "provider": "sparkpost",
            "content-type": "application/json",
            "received-at": "2026-11-21T09:30:05.123Z",
            "request-id": "request-1",
            "batch-id": "0f3a",
        },
    )
    (key,) = world.bucket.objects
    assert key.startswith("raw/sparkpost/2026/11/21/09/")


def test_redelivery_is_answered_200_and_kept_once(world: World) -> None:
    """The same body again is answered alike; within an hour it is the same object."""
    for _ in range(3):
        assert world.post("[1]")[0] == 200
    assert len(world.bucket.objects) == 1


@pytest.mark.parametrize("body", ['[{"msys":{}}]', "[]", "", None, "not json", b"\xff\xfe", EMPTY_GZIP])
def test_any_body_of_a_valid_sender_is_kept(world: World, body: bytes | str | None) -> None:
    """Pings, empty batches, gzip, and what nobody can parse: a valid sender is never refused."""
    assert world.post(body, Content_Encoding="gzip" if isinstance(body, bytes) else "")[0] == 200
    expected = body if isinstance(body, bytes) else (body or "").encode()
    assert world.stored[0] == expected


@pytest.mark.parametrize("name", ["authorization", "AUTHORIZATION", "Authorization"])
def test_header_names_come_in_any_case(world: World, name: str) -> None:
    """Header names do not depend on case."""
    headers = {"Authorization": "", name: AUTHORIZATION, "x-messagesystems-BATCH-id": "7"}
    assert world.post("[]", **headers)[0] == 200
    assert world.stored[1]["batch-id"] == "7"


def test_older_live_secret_works(world: World) -> None:
    """While a secret is rotated, both work."""
    assert world.post("[]", Authorization="Basic " + base64.b64encode(b"mailwake:older").decode())[0] == 200


REFUSALS: list[tuple[int, dict[str, str], dict[str, str]]] = [
    (404, {"provider": "nobody"}, {}),
    (404, {"provider": "__init__"}, {}),
    (404, {"provider": "verification"}, {}),
    (405, {"method": "GET"}, {"allow": "POST"}),
    (405, {"method": "PUT"}, {"allow": "POST"}),
    (401, {"Authorization": ""}, {"www-authenticate": 'Basic realm="webhooks"'}),
    (401, {"Authorization": "Basic bm86bm8="}, {}),
]


@pytest.mark.parametrize(("status", "request_", "headers"), REFUSALS)
def test_refusals_have_the_one_error_body(
    world: World, status: int, request_: dict[str, str], headers: dict[str, str]
) -> None:
    """Unknown provider 404, not POST 405, wrong credentials 401; nothing is stored."""
    answer = world.post("[]", **request_)
    assert answer[0] == status
    assert set(answer[1]["errors"][0]) == {"message", "description", "code"}
    assert answer[2].items() >= headers.items()
    assert world.bucket.objects == {}


def test_too_large_a_body_is_413(world: World) -> None:
    """What a Lambda can just take but we don't is told so in our own words."""
    assert world.post(" " * LARGEST_BODY)[0] == 200
    status, answer, _ = world.post(" " * (LARGEST_BODY + 1))
    assert status == 413
    assert "smaller" in answer["errors"][0]["description"]


def test_damaged_base64_is_400(world: World) -> None:
    """A body that can't be decoded is told so."""
    event = {
        "requestContext": {"http": {"method": "POST"}, "requestId": "r"},
        "pathParameters": {"provider": "sparkpost"},
        "headers": {"authorization": AUTHORIZATION},
        "body": "###",
        "isBase64Encoded": True,
    }
    assert app.handler(event, None)["statusCode"] == 400


@pytest.mark.parametrize("broken", ["bucket", "secrets"])
def test_failure_to_store_is_5xx(world: World, broken: str) -> None:
    """While S3 or Secrets Manager fail the sender is told to come again; then it succeeds."""
    getattr(world, broken).failing = True
    assert world.post("[]")[0] == 503
    getattr(world, broken).failing = False
    assert world.post("[]")[0] == 200


def test_missing_secret_is_refused_and_named(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A provider without secret is refused, and the log says what to add where."""
    world.secrets.secrets.clear()
    assert world.post("[]")[0] == 401
    assert "no secret for sparkpost: add it to the secret the-secret" in caplog.text


def test_log_holds_no_secret_and_no_recipient(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Neither credentials nor bodies reach the log."""
    caplog.set_level(logging.DEBUG)
    world.post('[{"rcpt_to": "ada@example.com"}]')
    world.post('[{"rcpt_to": "ada@example.com"}]', Authorization="Basic c2VjcmV0")
    world.bucket.failing = True
    world.post('[{"rcpt_to": "ada@example.com"}]')
    records = " ".join(str(vars(record)) for record in caplog.records)
    assert "object_key" in records
    assert not any(word in records for word in ("ada@", "secret", "Basic", "c2VjcmV0"))


def test_secret_in_the_path_goes_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It opens, and neither the log nor what is stored beside the body tells it, be it right or wrong."""
    caplog.set_level(logging.DEBUG)
    world.secrets.secrets["sparkpost"] = ["hush-4711"]
    assert world.post("[]", secret="hush-4711", Authorization="")[0] == 200
    refused = world.post("[]", secret="wrong-4711", Authorization="")
    assert refused[0] == 401
    told = " ".join([str(refused), str(world.bucket.objects), *(str(vars(record)) for record in caplog.records)])
    assert "unverified" in told
    assert "4711" not in told


def test_odd_metadata_are_cut(world: World) -> None:
    """A header of any length does not exceed what S3 takes as metadata."""
    world.post("[]", X_MessageSystems_Batch_ID="x" * 5000)
    assert world.stored[1]["batch-id"] == "x" * 200
