"""Child processes that never outlive the stack.

Each child is the leader of a process group of its own, so that a Ctrl-C in the terminal reaches only the orchestrator,
which then stops everything in order. Should the orchestrator itself be killed, a watchdog process sees its pipe close,
kills what is left and removes temporary folders. (PR_SET_PDEATHSIG would need a preexec_fn, which is unsafe with
threads, and fires when the *thread* that started a child ends.)
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_WATCHDOG = """
import os, shutil, signal, sys
groups, folders = set(), set()
for line in sys.stdin:
    action, value = line[0], line[1:].strip()
    if action == '+': groups.add(int(value))
    elif action == '-': groups.discard(int(value))
    elif action == '/': folders.add(value)
    elif action == '.': folders.discard(value)
for group in groups:
    try: os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError): pass
for folder in folders: shutil.rmtree(folder, ignore_errors=True)
"""


class ProcessGroup:
    """Starts children, and stops all that are left at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path | IO[bytes],
        directory: Path | None = None,
        user: int | None = None,
        output: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a child in a group of its own; what it writes is appended to `log`.

        `user` is a numeric user (and group) id; `output` PIPE keeps standard output for the caller.
        """
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(log.open("ab")) if isinstance(log, Path) else log
            child = subprocess.Popen(
                list(command),
                env=dict(environment),
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=sink if output is None else output,
                stderr=sink,
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )
        with self._lock:
            self._children[child.pid] = child
        self._tell_watchdog(f"+{child.pid}")
        return child

    def forget(self, child: subprocess.Popen[bytes]) -> None:
        """Takes note that a child has ended, so that its process id is not signalled once it belongs to another."""
        with self._lock:
            self._children.pop(child.pid, None)
        self._tell_watchdog(f"-{child.pid}")

    def guard_folder(self, folder: Path) -> None:
        """Has the watchdog remove a temporary folder if we cannot."""
        self._tell_watchdog(f"/{folder}")

    def stop(self, child: subprocess.Popen[bytes], *, first: signal.Signals, patience: float) -> None:
        """Ends one child: `first` the polite signal, then SIGKILL to its whole group."""
        signal_group(child, first)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            signal_group(child, signal.SIGKILL)
            child.wait()
        self.forget(child)

    def close(self) -> None:
        """Kills every child that is left, and the watchdog."""
        with self._lock:
            left = list(self._children.values())
            self._children.clear()
        for child in left:
            signal_group(child, signal.SIGKILL)
        for child in left:
            child.wait()
            self._tell_watchdog(f"-{child.pid}")
        assert self._watchdog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._watchdog.stdin.close()
        self._watchdog.wait()

    def _tell_watchdog(self, line: str) -> None:
        assert self._watchdog.stdin is not None
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):  # it may have been killed by hand
            self._watchdog.stdin.write(line + "\n")
            self._watchdog.stdin.flush()


def signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signals a child and all of its own children, if it still runs."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
