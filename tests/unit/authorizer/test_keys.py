import base64
import hashlib
from typing import Any, cast

import pytest

from authorizer import keys
from authorizer.callers import Caller
from authorizer.keys import FRESH_SECONDS, ApiKeys, read_key
from common.aws import AwsClient

KEY = "mw_" + "0123456789" * 4


class World:
    """The table of keys and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.time = 1000.0
        self.calls = 0
        monkeypatch.setattr(keys, "call_json", self.call)
        self.keys = ApiKeys("table", open_client=lambda _: cast("AwsClient", None), clock=lambda: self.time)

    def add(self, key: str, **more: Any) -> None:
        """Puts a key into the table."""
        item = {"name": {"S": "support"}, "scopes": {"SS": ["pii:read", "events:read"]}, **more}
        self.items[hashlib.sha256(key.encode()).hexdigest()] = item

    def call(self, _client: object, target: str, payload: dict[str, Any], *, version: str) -> dict[str, Any]:
        """As `call_json` for GetItem."""
        assert (target, version, payload["TableName"]) == ("DynamoDB_20120810.GetItem", "1.0", "table")
        self.calls += 1
        item = self.items.get(payload["Key"]["key_hash"]["S"])
        return {"Item": item} if item else {}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A table with one key."""
    world = World(monkeypatch)
    world.add(KEY)
    return world


def encode(text: str) -> str:
    """Base64 of a text."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", [KEY, f" {KEY} ", f"Bearer {KEY}", f"bearer {KEY}", f"Basic {encode(KEY + ':')}", f"basic {encode(KEY)}"]
)
def test_key_comes_in_three_forms(world: World, header: str) -> None:
    """As it is, as Bearer, or as the user of basic authentication."""
    assert world.keys.find(header) == Caller(name="support", scopes="events:read pii:read")


@pytest.mark.parametrize(
    "header",
    ["", " ", "mw_wrong", KEY.upper(), KEY[:-1], f"Digest {KEY}", "Basic ???", f"Basic {encode(':' + KEY)}", "ä\ud800"],
)
def test_anything_else_is_nobody(world: World, header: str) -> None:
    """Missing, malformed and wrong keys are refused alike."""
    assert world.keys.find(header) == Caller(refusal="unauthorized")


def test_revoked_key_is_refused_within_a_minute(world: World) -> None:
    """A key is remembered for a minute; then its revocation counts."""
    assert world.keys.find(KEY).name == "support"
    world.add(KEY, revoked_at={"S": "2026-11-21T00:00:00Z"})
    assert world.keys.find(KEY).name == "support"
    assert world.calls == 1
    world.time += FRESH_SECONDS + 1
    assert world.keys.find(KEY).refusal == "unauthorized"


def test_memory_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guessing keys does not fill the memory."""
    monkeypatch.setattr(keys, "REMEMBERED", 10)
    for number in range(50):
        world.keys.find(f"mw_{number}")
    assert len(world.keys._known) <= 10


def test_key_itself_is_not_remembered(world: World) -> None:
    """What is kept in memory is the hash."""
    world.keys.find(KEY)
    assert KEY not in str(world.keys._known)


def test_scheme_needs_its_own_space() -> None:
    """A key that begins like a scheme is a key."""
    assert read_key("BasicallyAKey") == "BasicallyAKey"
