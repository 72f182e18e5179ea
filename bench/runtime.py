"""Execution environments of a Lambda function: its process under the real runtime client, and a Runtime API."""

from __future__ import annotations

import itertools
import queue
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.processes import ProcessGroup
from local.web import Request, Response, WebServer

PATIENCE_S = 30.0
RUNTIME_API = "/2018-06-01/runtime/invocation/"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A function to measure."""

    name: str
    handler: str
    path: tuple[Path, ...]  # what is importable beside the standard library
    environment: Mapping[str, str]


class Environment:
    """One process; it asks for an event when it is ready, and posts its answer."""

    def __init__(self, candidate: Candidate, processes: ProcessGroup, log: Path) -> None:
        self._events: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._numbers = itertools.count(1)
        self._processes = processes
        self._api = WebServer(self._answer)
        self._api.start(f"runtime api of {candidate.name}")
        environment = {
            **candidate.environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.port}",
            "PYTHONPATH": ":".join(map(str, candidate.path)),
            "_HANDLER": candidate.handler,
        }
        self.spawned_at = time.perf_counter()
        self._process = processes.start(
            [sys.executable, "-S", "-m", "awslambdaric", candidate.handler], environment=environment, log=log
        )

    def invoke(self, event: bytes) -> tuple[float, bytes]:
        """Hand out an event; when its answer came (as perf_counter tells time), and the answer."""
        self._events.put(event)
        try:
            return self._answers.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise RuntimeError(f"no answer within {PATIENCE_S:.0f} s") from None

    def close(self) -> None:
        """End the process."""
        self._events.put(None)
        self._processes.stop(self._process, first=signal.SIGKILL, patience=10)
        self._api.stop()

    def _answer(self, request: Request) -> Response | None:
        at = time.perf_counter()
        action = request.target.removeprefix(RUNTIME_API)
        if action == "next":
            event = self._events.get()
            if event is None:
                return None
            headers = [
                ("Content-Type", "application/json"),
                ("Lambda-Runtime-Aws-Request-Id", f"{next(self._numbers):08d}-0000-4000-8000-000000000000"),
                ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + PATIENCE_S) * 1000))),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:bench"),
                ("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
            ]
            return Response(headers=headers, body=event)
        self._answers.put((at, request.body))  # a response or an error: whoever asked looks at it
        return Response(status=202)


@contextmanager
def start_environment(candidate: Candidate, processes: ProcessGroup, log: Path) -> Iterator[Environment]:
    """Start it, and end it with the block."""
    environment = Environment(candidate, processes, log)
    try:
        yield environment
    finally:
        environment.close()
