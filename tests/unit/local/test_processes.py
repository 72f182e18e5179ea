"""Children end with the process that started them, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local.processes import ProcessGroup
from local.state import PROJECT, is_running

# Starts a child that has a child of its own, guards a folder, tells of both, and waits to be ended.
PARENT = """
import os, signal, sys, time
from pathlib import Path
from local.processes import ProcessGroup
group = ProcessGroup()
child = group.start(["sh", "-c", "sleep 60 & sleep 60"], environment={"PATH": os.defpath}, log=Path(os.devnull))
group.guard_folder(Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(60)
"""


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended within a few seconds."""
    _, alive = psutil.wait_procs([process], timeout=5)
    return not alive


def test_killed_parent_leaves_nothing(tmp_path: Path) -> None:
    """Even kill -9 of the parent ends its children, their children too, and removes guarded folders."""
    guarded = tmp_path / "guarded"
    guarded.mkdir()
    command = [sys.executable, "-c", PARENT, str(guarded)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        while not child.children():
            pass
        family = [child, *child.children()]
        parent.kill()
    assert all(is_gone(process) for process in family)
    for _ in range(200):
        if not guarded.exists():
            break
        time.sleep(0.02)
    assert not guarded.exists()


def test_close_ends_all(tmp_path: Path) -> None:
    """Closing kills what is left; what ended before and was forgotten is not signalled."""
    group = ProcessGroup()
    environment = {"PATH": os.defpath}
    child = group.start(["sleep", "60"], environment=environment, log=tmp_path / "log")
    ended = group.start(["true"], environment=environment, log=tmp_path / "log")
    ended.wait()
    group.forget(ended)
    group.close()
    assert child.returncode == -signal.SIGKILL
    assert ended.returncode == 0


def test_stubborn_child_is_killed(tmp_path: Path) -> None:
    """A child that does not heed the polite signal is killed."""
    group = ProcessGroup()
    ready = tmp_path / "ready"
    child = group.start(
        ["sh", "-c", f"trap '' TERM; touch {ready}; while true; do sleep 0.1; done"],
        environment={"PATH": os.defpath},
        log=tmp_path / "log",
    )
    while not ready.exists():
        pass
    group.stop(child, first=signal.SIGTERM, patience=0.3)
    assert child.returncode == -signal.SIGKILL
    group.close()


def test_output_is_appended(tmp_path: Path) -> None:
    """What children write goes to the end of their log."""
    group = ProcessGroup()
    for word in ("one", "two"):
        group.start(["echo", word], environment={"PATH": os.defpath}, log=tmp_path / "log").wait()
    group.close()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("started_at", [None, psutil.Process().create_time()])
def test_this_process_runs(started_at: float | None) -> None:
    """A process runs if it does, and if it is the one that is meant."""
    assert is_running(os.getpid(), started_at)
    assert not is_running(os.getpid(), 1.0)


def test_zombie_does_not_run() -> None:
    """A process that has ended but was not waited for is not running."""
    with subprocess.Popen(["true"]) as child:
        psutil.Process(child.pid)
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            pass
        assert not is_running(child.pid)
