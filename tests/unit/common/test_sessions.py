import json

import pytest

from common.aws import AwsError
from common.sessions import COOKIE, hash_id, read_cookie
from tests.unit.common.sessions_table import SessionsTable


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> SessionsTable:
    """An empty table."""
    return SessionsTable(monkeypatch.setattr)


def start(table: SessionsTable, *, idle: int = 600, life: int = 3600) -> str:
    """A new session."""
    ends = int(table.time) + life
    return table.sessions.start("support", "events:read", "", idle_seconds=idle, expires_at=ends)


def test_session_is_found_by_its_id(table: SessionsTable) -> None:
    """It says who signed in."""
    session = table.sessions.find(start(table))
    assert session is not None
    assert (session.name, session.scopes, session.ends_at) == ("support", "events:read", table.time + 600)


def test_id_is_random_and_not_stored(table: SessionsTable) -> None:
    """The table has a hash, by which nobody is let in."""
    first, second = start(table), start(table)
    assert first != second
    assert len(first) >= 43
    assert first not in json.dumps(table.items)
    assert table.sessions.find(hash_id(first)) is None


@pytest.mark.parametrize(("idle", "life"), [(60, 3600), (3600, 60)])
def test_session_ends_by_either_time(table: SessionsTable, idle: int, life: int) -> None:
    """Nothing done for a while, or what it was made with ran out; DynamoDB may keep the item for days after."""
    session_id = start(table, idle=idle, life=life)
    table.time += 60
    assert table.items
    assert table.sessions.find(session_id) is None
    assert table.sessions.renew(session_id, idle_seconds=600) is None


def test_use_prolongs_a_session_but_not_beyond_its_end(table: SessionsTable) -> None:
    """The idle time begins anew, the end stays."""
    session_id = start(table, idle=600, life=1000)
    table.time += 599
    renewed = table.sessions.renew(session_id, idle_seconds=600)
    assert renewed is not None
    assert (renewed.idle_until, renewed.ends_at) == (1_790_001_199, 1_790_001_000)


def test_ended_session_is_gone(table: SessionsTable) -> None:
    """At once, for every process, since nothing is remembered."""
    session_id = start(table)
    table.sessions.end(session_id)
    assert table.sessions.find(session_id) is None
    assert not table.items


def test_trouble_with_the_table_is_told(table: SessionsTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that can't be looked up is not one that has ended."""

    def fail(*_: object, **__: object) -> None:
        raise AwsError(500, "InternalServerError", "UpdateItem")

    monkeypatch.setattr("common.sessions.call_json", fail)
    with pytest.raises(AwsError):
        table.sessions.renew("id", idle_seconds=1)


def test_cookie_is_read_by_its_whole_name() -> None:
    """Others don't count."""
    assert read_cookie([f"x{COOKIE}=1", f"{COOKIE}2=2", f" {COOKIE} = a=b "]) == "a=b"
    assert read_cookie(["mailwake=1"]) == ""
