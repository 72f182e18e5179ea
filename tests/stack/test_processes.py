"""Starting and stopping: nothing is left behind, and stacks do not get in each other's way."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.stack import PortTakenError, Stack
from local.state import PROJECT
from providers import list_providers
from tests.stack.client import await_events, await_true, count_events, make_event, make_recipient, post


def start_run(*arguments: str) -> subprocess.Popen[str]:
    """`python -m local run` in a process group of its own; gives it once it has printed its URLs."""
    run = subprocess.Popen(
        [sys.executable, "-m", "local", "run", *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        if "Ctrl-C stops everything" in line:
            return run
        if port := re.search(r"webhook\s+http://127\.0\.0\.1:(\d+)/", line):
            run.port = int(port[1])  # type: ignore[attr-defined]
    raise AssertionError("the stack did not start")


@pytest.fixture
def run() -> Iterator[subprocess.Popen[str]]:
    """A stack that was started by the command."""
    process = start_run("--port", "0")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def find_descendants(pid: int) -> list[psutil.Process]:
    """All processes under one."""
    return list(psutil.Process(pid).children(recursive=True))


def find_folders(processes: list[psutil.Process]) -> set[Path]:
    """Folders for Postgres's data that were made for these processes."""
    found = set()
    for process in processes:
        line = process.cmdline()
        if "-D" in line:
            found.add(Path(line[line.index("-D") + 1]))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_stop_leaves_nothing(run: subprocess.Popen[str], number: signal.Signals) -> None:
    """However the stack is ended, no process and no data folder is left, even if it could not clean up by itself."""
    descendants = find_descendants(run.pid)
    folders = find_folders(descendants)
    assert len(descendants) > 5
    assert folders
    assert all(folder.exists() for folder in folders)
    run.send_signal(number)
    run.wait(20)
    await_true(lambda: not any(one.is_running() for one in descendants), "the end of all processes", patience=10)
    await_true(lambda: not any(folder.exists() for folder in folders), "the end of all folders", patience=10)


def test_taken_port_is_explained(run: subprocess.Popen[str]) -> None:
    """A second stack on the same port says who has it and what to do instead."""
    port: int = run.port  # type: ignore[attr-defined]
    second = subprocess.run(
        [sys.executable, "-m", "local", "run", "--port", str(port)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"port {port} is taken: a local stack already runs there (process {run.pid})" in second.stderr
    assert f"PORT={port + 1}" in second.stderr
    assert "Traceback" not in second.stderr


def test_port_of_another_program_is_explained(stack: Stack, tmp_path: Path) -> None:
    """A port that some program has is refused before anything is started."""
    with (
        pytest.raises(PortTakenError, match="is taken by another program"),
        Stack(port=stack.cloud_port, directory=tmp_path),
    ):
        pytest.fail("it must not start")


def test_commands_on_a_running_stack(run: subprocess.Popen[str]) -> None:
    """Keys can be made and revoked, logs be shown and the stack be stopped, from another terminal."""

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        port: int = run.port  # type: ignore[attr-defined]
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments, "--port", str(port)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "PORT": ""},
        )

    made = command("api-key", "create", "--name", "support")
    assert re.fullmatch(r"mw_[0-9a-f]{40}\n", made.stdout)
    assert "support  events:read" in command("api-key", "list").stdout
    assert "revoked" in command("api-key", "revoke", made.stdout.strip()).stdout
    assert "platform.report" in command("logs", "MigrateDatabase").stdout
    assert "there are" in command("logs", "Nobody").stderr
    assert command("replay", "--rebuild").stdout.startswith("emptied the database\nreplay: 1 objects")
    assert command("stop").returncode == 0
    assert run.wait(5) == 0


def test_two_stacks_side_by_side(stack: Stack, tmp_path: Path) -> None:
    """Two stacks share nothing: what is sent to one is not in the other."""
    recipient = make_recipient()
    with Stack(directory=tmp_path) as other:
        assert post(other, [make_event(recipient)]) == 200
        await_events(other, recipient, 1)
        assert post(stack, [make_event(recipient), make_event(recipient)]) == 200
        await_events(stack, recipient, 2)
        assert count_events(other, recipient) == 1


def test_demo() -> None:
    """The demonstration succeeds, shows what every provider told, and ends with its figures."""
    demo = subprocess.run(
        [sys.executable, "-m", "local", "demo", "--port", "0"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for told in ("/local/mail/", "Subject: Your first API call met a 400", "its signature is right", "opened, clicked"):
        assert told in demo.stdout
    lines = demo.stdout.splitlines()
    assert {line.split(" ")[0] for line in lines} >= set(list_providers())
    figures = re.fullmatch(r"demo: sent=(\d+) loaded=(\d+) duplicates=5 quarantined=2 returned=15", lines[-1])
    assert figures is not None, lines[-1]
    toured = int(figures[1]) - 26
    assert toured > len(list_providers())
    assert int(figures[2]) == 19 + toured
