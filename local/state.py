"""The folder of a stack, .local/<port>/: its description (stack.json), and the logs of its functions and servers."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PROJECT = Path(__file__).resolve().parent.parent
STATE_ROOT = PROJECT / ".local"
DEFAULT_PORT = 8600


class NoStackError(Exception):
    """There is no stack where one was looked for; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class StackState:
    """What other processes need to know of a running stack."""

    pid: int  # of the orchestrator
    started_at: float  # when that process began, as psutil tells it
    port: int
    webhook_url: str
    webhook_user: str
    webhook_password: str
    api_url: str
    api_key: str
    cloud_url: str  # the moto server
    postgres_port: int
    database: str
    raw_bucket: str
    load_queue_url: str
    api_keys_table: str

    def database_dsn(self) -> str:
        """A connection string for the database, as its superuser."""
        return f"host=127.0.0.1 port={self.postgres_port} user=postgres dbname={self.database}"

    def write(self, folder: Path) -> None:
        """Writes stack.json, for its owner only: it holds the stack's passwords."""
        path = folder / "stack.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def read_state(folder: Path) -> StackState | None:
    """The description of the stack in a folder; None if there is none or it is not running any more."""
    try:
        state = StackState(**json.loads((folder / "stack.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state if is_running(state.pid, state.started_at) else None


def is_running(pid: int, started_at: float | None = None) -> bool:
    """Whether a process runs; with `started_at` (of psutil) whether it is still that one, not another with its id."""
    try:
        process = psutil.Process(pid)
        if started_at is not None and abs(process.create_time() - started_at) > 1:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def remove_old_folders() -> None:
    """Removes the folders of stacks that ended more than a day ago: each free port that was ever taken left one."""
    for folder in STATE_ROOT.glob("*"):
        if read_state(folder) is None and time.time() - folder.stat().st_mtime > 86400:
            shutil.rmtree(folder, ignore_errors=True)


def find_stack(port: int | None) -> StackState:
    """The running stack on a port; without a port, the one on the default port or the only one that runs."""
    running = {state.port: state for state in _read_all()}
    if port is not None and port in running:
        return running[port]
    if port is None and running:
        if DEFAULT_PORT in running:
            return running[DEFAULT_PORT]
        if len(running) == 1:
            return next(iter(running.values()))
        ports = ", ".join(str(one) for one in sorted(running))
        raise NoStackError(f"several stacks are running: say which with --port (one of {ports})")
    others = f" (running on: {', '.join(map(str, sorted(running)))})" if running else ""
    where = "" if port is None else f" on port {port}"
    raise NoStackError(f"no local stack is running{where}{others}; start one with `make run`")


def _read_all() -> Iterator[StackState]:
    for folder in STATE_ROOT.glob("*"):
        state = read_state(folder)
        if state is not None:
            yield state


def await_end(pid: int, patience: float) -> bool:
    """Waits until a process has ended."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not is_running(pid):
            return True
        time.sleep(0.05)
    return False


def explain_port(port: int) -> str:
    """Why a port cannot be had, and what to do."""
    other = read_state(STATE_ROOT / str(port))
    if other is not None:
        return (
            f"port {port} is taken: a local stack already runs there (process {other.pid}).\n"
            f"Stop it with `.venv/bin/python -m local stop --port {port}`, or start another beside it: "
            f"`make run PORT={port + 1}` (PORT=0 takes any free port)."
        )
    return (
        f"port {port} is taken by another program.\n"
        f"Choose another one: `make run PORT={port + 1}` (PORT=0 takes any free port)."
    )
