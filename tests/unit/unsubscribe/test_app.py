"""A GET shows a page and changes nothing, a POST unsubscribes, and nobody can unsubscribe others."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest

from common.aws import AwsError
from common.suppression_table import Suppression
from mailer.unsubscribing import Subscription, make_token
from unsubscribe import app

KEY = b"a key"
TOKEN = make_token(Subscription("ada@example.com", "news", "mail-1-2"), [KEY])


class World:
    """Keys, table and bucket, which keep what they get or fail."""

    def __init__(self) -> None:
        self.saved: list[Suppression] = []
        self.reports: dict[str, dict[str, Any]] = {}
        self.fails = ""

    def _fail(self, part: str) -> None:
        if self.fails == part:
            raise AwsError(500, "", part)

    def find(self) -> list[bytes]:
        """The keys."""
        self._fail("keys")
        return [KEY]

    def save(self, one: Suppression) -> None:
        """The table."""
        self._fail("table")
        self.saved.append(one)

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str], _digest: str) -> bool:
        """The bucket."""
        self._fail("bucket")
        assert metadata["provider"] == "mailwake"
        self.reports[key] = json.loads(body)
        return True

    def ask(self, method: str, token: str = TOKEN, body: str = "", *, encode: bool = False) -> tuple[int, str]:
        """Status and page."""
        event = {
            "pathParameters": {"token": token},
            "requestContext": {"http": {"method": method}, "requestId": "r1="},
            "body": base64.b64encode(body.encode()).decode() if encode else body,
            "isBase64Encoded": encode,
        }
        answer = app.handler(event, None)
        assert "script" not in answer["headers"]["content-security-policy"]
        assert "ada" not in answer["body"]
        return answer["statusCode"], answer["body"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Everything works."""
    world = World()
    for name in ("_keys", "_table", "_bucket"):
        monkeypatch.setattr(app, name, lambda: world)
    return world


def test_looking_changes_nothing(world: World) -> None:
    """Scanners follow links."""
    status, page = world.ask("GET")
    assert status == 200
    assert '<form method="post">' in page
    assert "news" in page
    assert (world.saved, world.reports) == ([], {})


@pytest.mark.parametrize("encode", [False, True])
def test_one_click_unsubscribes_from_the_topic(world: World, encode: bool) -> None:
    """The mailer's list is written, and the database hears of it by way of S3."""
    assert world.ask("POST", body="List-Unsubscribe=One-Click", encode=encode)[0] == 200
    (one,) = world.saved
    assert one[:4] == ("ada@example.com", "news", "unsubscribed", "unsubscribe")
    ((key, report),) = world.reports.items()
    assert key.startswith("raw/mailwake/2")
    assert report == {
        "kind": "unsubscribe",
        "id": "r1=",
        "address": "ada@example.com",
        "topic": "news",
        "at": one.at,
        "delivery": "mail-1-2",
    }


def test_page_can_end_all_mails(world: World) -> None:
    """By its second button."""
    status, page = world.ask("POST", body="scope=all", encode=True)
    assert (status, world.saved[0].topic) == (200, "*")
    assert "no more mails from us" in page


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "token", ["", "x", "A" + TOKEN[1:], TOKEN[:-3], make_token(Subscription("b@e.com", "n", "m"), [b"other"])]
)
def test_link_of_others_does_nothing(world: World, method: str, token: str) -> None:
    """Whatever was not signed by us."""
    assert world.ask(method, token)[0] == 404
    assert world.saved == []


@pytest.mark.parametrize("part", ["keys", "table", "bucket"])
def test_what_fails_is_said_to_have_failed(world: World, part: str) -> None:
    """So that whoever asks asks again."""
    world.fails = part
    assert world.ask("POST")[0] == 503
    world.fails = ""
    assert world.ask("POST")[0] == 200
    assert world.reports
