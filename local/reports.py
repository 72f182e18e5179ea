"""The lines that Lambda itself adds to a function's log: one REPORT per invocation, and why a worker ended."""

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from local.declared import Function

if TYPE_CHECKING:
    from local.workers import Invocation, Worker


class ReportLog:
    """Appends to the log of one function, in the format that its template asks for (text or JSON)."""

    def __init__(self, function: Function, path: Path) -> None:
        self._function = function
        self._path = path
        self._lock = threading.Lock()

    def write_line(self, text: str) -> None:
        """A plain line with the time."""
        self._append(f"{_now()} {text}")

    def write(self, worker: "Worker", invocation: "Invocation", *, status: str) -> None:
        """The report of one invocation: duration, memory and, for a worker's first one, how long it took to start."""
        assert invocation.taken_at is not None
        duration_ms = (time.monotonic() - invocation.taken_at) * 1000
        init_ms = None if worker.init_duration is None else worker.init_duration * 1000
        worker.init_duration = None
        used = _peak_memory_mb(worker.process.pid)
        if self._function.log_format == "JSON":
            metrics: dict[str, float | int] = {
                "durationMs": round(duration_ms, 3),
                "memorySizeMB": self._function.memory,
                "maxMemoryUsedMB": used,
            }
            if init_ms is not None:
                metrics["initDurationMs"] = round(init_ms, 3)
            record = {"requestId": invocation.request_id, "metrics": metrics, "status": status}
            self._append(json.dumps({"time": _now(), "type": "platform.report", "record": record}))
            return
        fields = [
            f"REPORT RequestId: {invocation.request_id}",
            f"Duration: {duration_ms:.2f} ms",
            f"Memory Size: {self._function.memory} MB",
            f"Max Memory Used: {used} MB",
        ]
        if init_ms is not None:
            fields.append(f"Init Duration: {init_ms:.2f} ms")
        if status != "success":
            fields.append(f"Status: {status}")
        self._append("\t".join(fields))

    def _append(self, line: str) -> None:
        with self._lock, self._path.open("a") as log:
            log.write(line + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _peak_memory_mb(pid: int) -> int:
    """The most memory that a process ever used; 0 where the system does not tell or the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0
