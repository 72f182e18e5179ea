import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from common.objects import Bucket
from sources import SOURCES, find_source
from tests.unit.webhook_listener.fakes import FakeBucket
from webhook_listener import app
from webhook_listener.intake import Intake
from webhook_listener.receiving import LARGEST_BODY

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WRITER = {"name": "shop", "scopes": "events:write", "refusal": ""}


class World:
    """The listener with a bucket in memory."""

    def __init__(self) -> None:
        self.bucket = FakeBucket()
        self.intake = Intake(bucket=cast("Bucket", self.bucket), clock=lambda: NOW)

    def send(
        self, path: str, body: str = "{}", *, method: str = "POST", caller: dict[str, str] | None = WRITER
    ) -> tuple[int, Any]:
        """Sends a request as API Gateway hands it over; status and decoded body of the answer."""
        event = {
            "rawPath": path,
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "http": {"method": method},
                "requestId": "request-1",
                "authorizer": {"lambda": caller},
            },
            "body": body,
        }
        response = app.handler(event, None)
        return response["statusCode"], json.loads(response["body"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A listener."""
    world = World()
    monkeypatch.setattr(app, "_intake", lambda: world.intake)
    return world


def test_body_is_stored_and_answered(world: World) -> None:
    """A body is kept as it came with what its path says it holds; Moesif's clients are told 201, Segment's 200."""
    assert world.send("/v1/events/batch", "[ 1 ]") == (201, {})
    assert world.send("/v1/track", '{"event":"x"}') == (200, {"success": True})
    (call_key, call), (track_key, track) = world.bucket.objects.items()
    assert call_key.startswith("raw/moesif/2026/11/21/09/")
    assert track_key.startswith("raw/segment/2026/11/21/09/")
    assert call[0] == b"[ 1 ]"
    assert (call[1]["provider"], call[1]["query"]) == ("moesif", "events")
    assert (track[1]["provider"], track[1]["query"]) == ("segment", "track")


def test_every_collection_is_taken(world: World) -> None:
    """Each path of each source is stored as an object of its own, even with the same body."""
    paths = [path for name in SOURCES for path in cast("Any", find_source(name)).COLLECTIONS if name != "prometheus"]
    assert len(paths) == 15
    for path in paths:
        assert world.send(path, "[]")[0] in (200, 201)
    assert (
        len(world.bucket.objects) == 4 + 7
    )  # a batch of one is a batch: /v1/events and /v1/events/batch hold the same


def test_clients_settings_are_answered(world: World) -> None:
    """Moesif's clients ask how much is wanted: everything, and nothing is blocked."""
    status, config = world.send("/v1/config", method="GET")
    assert (status, config["sample_rate"]) == (200, 100)
    assert world.send("/v1/rules", method="GET") == (200, [])
    assert world.bucket.objects == {}


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (None, 401),
        ({}, 401),
        ({"name": "", "scopes": "", "refusal": "unauthorized"}, 401),
        ({"name": "x", "scopes": "events:write", "refusal": "unavailable"}, 503),
        ({"name": "x", "scopes": "events:read pii:read", "refusal": ""}, 403),
        ({"name": "x", "scopes": "admin", "refusal": ""}, 201),
    ],
)
def test_only_writers_may_send(world: World, caller: dict[str, str] | None, status: int) -> None:
    """Without the scope events:write nothing is stored."""
    assert world.send("/v1/events", caller=caller)[0] == status
    assert len(world.bucket.objects) == (status == 201)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/nothing", 404),
        ("POST", "/v1/", 404),
        ("GET", "/v1/events", 405),
        ("POST", "/v1/config", 405),
        ("DELETE", "/v1/users", 405),
    ],
)
def test_what_is_not_there_is_refused(world: World, method: str, path: str, status: int) -> None:
    """Other paths and methods have the one error body."""
    answered, body = world.send(path, method=method)
    assert (answered, body["errors"][0]["code"]) == (status, str(status))


def test_too_large_a_body_is_413(world: World) -> None:
    """A body that Lambda could hardly carry is refused, not cut."""
    assert world.send("/v1/events", "x" * (LARGEST_BODY + 1))[0] == 413


def test_outage_is_503(world: World) -> None:
    """When S3 fails, the client is told to send it again."""
    world.bucket.failing = True
    assert world.send("/v1/events")[0] == 503
