"""Finding running stacks, and saying what to do when there is none."""

import os
import socket
from pathlib import Path

import psutil
import pytest

from local import state
from local.state import NoStackError, StackState, explain_port, find_stack


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for stacks' folders."""
    monkeypatch.setattr(state, "STATE_ROOT", tmp_path)
    return tmp_path


def describe_stack(root: Path, port: int, *, started_at: float | None = None) -> None:
    """Describes a stack of this very process, or of one that had its id before."""
    folder = root / str(port)
    folder.mkdir()
    StackState(
        pid=os.getpid(),
        started_at=psutil.Process().create_time() if started_at is None else started_at,
        port=port,
        webhook_url="",
        webhook_user="",
        webhook_password="secret",
        api_url="",
        api_key="",
        cloud_url="",
        postgres_port=0,
        database="",
        raw_bucket="",
        load_queue_url="",
        api_keys_table="",
    ).write(folder)


def test_none_runs(root: Path) -> None:
    """Without a stack one is told how to start one."""
    describe_stack(root, 8600, started_at=1.0)
    with pytest.raises(NoStackError, match="make run"):
        find_stack(None)


def test_only_one_is_found(root: Path) -> None:
    """The only stack that runs is meant, whatever its port."""
    describe_stack(root, 9000)
    assert find_stack(None).port == 9000


def test_default_port_wins(root: Path) -> None:
    """Of several, the one on the default port is meant."""
    describe_stack(root, 9000)
    describe_stack(root, 8600)
    assert find_stack(None).port == 8600
    assert find_stack(9000).port == 9000


def test_several_need_a_choice(root: Path) -> None:
    """Of several on other ports, one has to be named."""
    describe_stack(root, 9000)
    describe_stack(root, 9001)
    with pytest.raises(NoStackError, match="one of 9000, 9001"):
        find_stack(None)


def test_description_is_private(root: Path) -> None:
    """The file with the stack's passwords can be read by its owner only."""
    describe_stack(root, 9000)
    assert (root / "9000" / "stack.json").stat().st_mode & 0o077 == 0


def test_taken_port(root: Path) -> None:
    """A taken port is explained by who has it."""
    describe_stack(root, 9000)
    assert f"process {os.getpid()}" in explain_port(9000)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        assert "another program" in explain_port(other.getsockname()[1])
