import json
from typing import Any, cast

import pytest

from common import secrets
from common.aws import AwsClient, AwsError
from common.secrets import FRESH_SECONDS, NamedSecrets, read_secrets


class World:
    """Secrets Manager and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.text = '{"sparkpost": "one"}'
        self.failing = False
        self.calls = 0
        self.time = 1000.0
        monkeypatch.setattr(secrets, "call_json", self.call)
        self.secrets = NamedSecrets("id", open_client=lambda _: cast("AwsClient", None), clock=lambda: self.time)

    def call(self, _client: object, _target: str, payload: dict[str, Any], *, version: str) -> dict[str, Any]:
        """As `call_json`."""
        self.calls += 1
        if self.failing:
            raise AwsError(500, "InternalFailure", "secretsmanager.GetSecretValue")
        assert (payload, version) == ({"SecretId": "id"}, "1.1")
        return {"SecretString": self.text}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A secret with one provider."""
    return World(monkeypatch)


def test_secrets_are_kept_for_a_while(world: World) -> None:
    """Secrets Manager is asked once in five minutes; then a rotated secret is live."""
    assert world.secrets.find("sparkpost") == ["one"]
    world.text = '{"sparkpost": ["two", "one"]}'
    world.time += FRESH_SECONDS
    assert world.secrets.find("sparkpost") == ["one"]
    world.time += 1
    assert world.secrets.find("sparkpost") == ["two", "one"]
    assert world.calls == 2


def test_unknown_provider_has_none(world: World) -> None:
    """A provider that is not set up has no secrets."""
    assert world.secrets.find("sendgrid") == []


def test_outage_does_not_stop_webhooks(world: World) -> None:
    """While Secrets Manager is down the known secrets stay in use, and it is not asked at every webhook."""
    world.secrets.find("sparkpost")
    world.failing = True
    world.time += FRESH_SECONDS + 1
    assert world.secrets.find("sparkpost") == ["one"]
    assert world.secrets.find("sparkpost") == ["one"]
    assert world.calls == 2


def test_outage_at_the_start_is_an_error(world: World) -> None:
    """Without any known secrets nobody can be let in."""
    world.failing = True
    with pytest.raises(AwsError):
        world.secrets.find("sparkpost")


@pytest.mark.parametrize("text", ["hunter2", "[]", '{"sparkpost": 1}', '{"sparkpost": [""]}', '{"sparkpost": [1]}'])
def test_malformed_secret_is_told_without_its_text(text: str) -> None:
    """A secret of another form is an error that does not repeat it."""
    with pytest.raises(ValueError, match="the secret") as caught:
        read_secrets(text)
    assert "hunter2" not in str(caught.value)


def test_secret_is_one_or_several() -> None:
    """A text is one live secret, a list is several."""
    assert read_secrets(json.dumps({"a": "x", "b": ["y", "z"]})) == {"a": ["x"], "b": ["y", "z"]}
