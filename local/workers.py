"""Runs one function's handler under the real Lambda runtime client, in processes of its own.

A `Worker` is one execution environment: a process `python -m awslambdaric <handler>` and the Runtime API server that it
alone talks to (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html). A `FunctionPool` holds a function's
workers and hands them invocations, as Lambda does: a crash fails the invocation, a timeout kills the worker.
"""

import json
import signal
import subprocess
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.declared import Function
from local.processes import ProcessGroup, signal_group
from local.reports import ReportLog
from local.template import ACCOUNT_ID, REGION
from local.web import Request, Response, WebServer

RUNTIME_API = "/2018-06-01/runtime"
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024  # Lambda's limit of a synchronous event, and of a response


@dataclass(frozen=True, kw_only=True)
class Result:
    """How an invocation ended: `payload` is JSON; `error` names its kind, None if the handler returned."""

    payload: bytes
    error: str | None = None


@dataclass(kw_only=True)
class Invocation:
    """One event on its way through a worker."""

    event: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    done: threading.Event = field(default_factory=threading.Event)
    taken_at: float | None = None  # monotonic; None while it waits for a worker
    worker: "Worker | None" = None
    result: Result | None = None

    def finish(self, result: Result) -> bool:
        """Keeps the first result only: a kill and a late answer may race."""
        if self.result is not None:
            return False
        self.result = result
        self.done.set()
        return True


def describe_error(kind: str, message: str) -> Result:
    """The payload that Lambda itself gives for a function that did not answer."""
    return Result(payload=json.dumps({"errorType": kind, "errorMessage": message}).encode(), error="Unhandled")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How the processes of one function are started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    log: Path


class Worker:
    """One execution environment of a function."""

    def __init__(self, pool: "FunctionPool", launch: Launch, processes: ProcessGroup) -> None:
        self._pool = pool
        self._processes = processes
        self.alive = True
        self.initialised = False
        self.current: Invocation | None = None
        self.init_error: bytes | None = None
        self.started_at = time.monotonic()
        self.init_duration: float | None = None  # seconds; reported with the first invocation only
        self._api = WebServer(self._answer)
        self._api.start(f"runtime api {pool.function.logical_id}")
        environment = {**launch.environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.port}"}
        self.process: subprocess.Popen[bytes] = processes.start(
            launch.command, environment=environment, log=launch.log, directory=launch.directory
        )
        threading.Thread(target=self._await_exit, name=f"exit of {pool.function.logical_id}", daemon=True).start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signals the process; the pool hears of its end by itself."""
        signal_group(self.process, number)

    def _await_exit(self) -> None:
        code = self.process.wait()
        self._processes.forget(self.process)
        self._pool.bury(self, code)
        self._api.stop()

    def _answer(self, request: Request) -> Response | None:
        path = request.target.removeprefix(RUNTIME_API)
        if path == "/invocation/next":
            return self._next()
        if path == "/init/error":
            self.init_error = request.body
            return Response(status=202)
        parts = path.split("/")  # "", "invocation", request id, "response" or "error"
        if len(parts) == 4 and parts[1] == "invocation" and parts[3] in ("response", "error"):
            failed = parts[3] == "error"
            accepted = self._pool.complete(self, parts[2], request.body, failed=failed)
            return Response(status=202 if accepted else 400)
        return Response(status=404)

    def _next(self) -> Response | None:
        if not self.initialised:
            self.initialised = True
            self.init_duration = time.monotonic() - self.started_at
        invocation = self._pool.take(self)
        if invocation is None:
            return None
        deadline = time.time() + self._pool.function.timeout
        return Response(
            headers=[
                ("Content-Type", "application/json"),
                ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
                ("Lambda-Runtime-Deadline-Ms", str(int(deadline * 1000))),
                ("Lambda-Runtime-Invoked-Function-Arn", arn_of(self._pool.function.name)),
                ("Lambda-Runtime-Trace-Id", f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0"),
            ],
            body=invocation.event,
        )


def arn_of(function_name: str) -> str:
    """A function's ARN."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function_name}"


class FunctionPool:
    """The workers of one function, at most `limit`; further invocations wait in order."""

    def __init__(self, function: Function, launch: Launch, processes: ProcessGroup, *, limit: int) -> None:
        self.function = function
        self.limit = limit
        self._launch = launch
        self._processes = processes
        self._reports = ReportLog(function, launch.log)
        self._changed = threading.Condition()
        self._pending: deque[Invocation] = deque()
        self._workers: list[Worker] = []
        self._idle = 0
        self._closed = False

    def invoke(self, event: bytes, *, patience: float | None = None) -> Result | None:
        """Runs the handler on one event; None if it has not ended after `patience` seconds (it then goes on alone).

        Events above Lambda's limit are refused as Lambda refuses them.
        """
        if len(event) > MAX_PAYLOAD_BYTES:
            return describe_error("RequestEntityTooLarge", f"{len(event)} byte payload is too large")
        invocation = Invocation(event=event)
        with self._changed:
            if self._closed:
                return describe_error("Runtime.Closed", "the local stack is stopping")
            self._pending.append(invocation)
            self._start_missing_worker()
            self._changed.notify()
        if patience is None:
            return self._await_result(invocation)
        if invocation.done.wait(min(patience, self.function.timeout)):
            return invocation.result
        if patience <= self.function.timeout:
            threading.Thread(target=self._await_result, args=(invocation,), daemon=True).start()
            return None
        return self._await_result(invocation)

    def _await_result(self, invocation: Invocation) -> Result:
        wait = self.function.timeout
        while not invocation.done.wait(wait):
            if invocation.taken_at is None:
                continue  # still waiting for a worker: only the handler's own time counts
            wait = invocation.taken_at + self.function.timeout - time.monotonic()
            if wait <= 0:
                self._time_out(invocation)
                wait = self.function.timeout
        assert invocation.result is not None
        return invocation.result

    def _time_out(self, invocation: Invocation) -> None:
        message = f"Task timed out after {self.function.timeout:.2f} seconds"
        if invocation.finish(describe_error("Sandbox.Timedout", f"RequestId: {invocation.request_id} {message}")):
            self._reports.write_line(f"{invocation.request_id} {message}")
            assert invocation.worker is not None
            self._reports.write(invocation.worker, invocation, status="timeout")
            invocation.worker.kill()

    def take(self, worker: Worker) -> Invocation | None:
        """The next invocation for an idle worker; None once the worker is dead or the pool closed."""
        with self._changed:
            worker.current = None
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._pending or self._closed or not worker.alive)
            finally:
                self._idle -= 1
            if self._closed or not worker.alive:
                self._changed.notify()  # what woke this thread may have been meant for another worker
                return None
            invocation = self._pending.popleft()
            invocation.taken_at = time.monotonic()
            invocation.worker = worker
            worker.current = invocation
            return invocation

    def complete(self, worker: Worker, request_id: str, payload: bytes, *, failed: bool) -> bool:
        """Takes a handler's answer; False if this worker has no such invocation."""
        invocation = worker.current
        if invocation is None or invocation.request_id != request_id:
            return False
        result = Result(payload=payload, error="Unhandled" if failed else None)
        if len(payload) > MAX_PAYLOAD_BYTES:
            message = f"Response payload size ({len(payload)} bytes) exceeded maximum allowed payload size"
            result = describe_error("Function.ResponseSizeTooLarge", message)
        if invocation.finish(result):
            self._reports.write(worker, invocation, status="error" if result.error else "success")
        return True

    def bury(self, worker: Worker, exit_code: int) -> None:
        """Takes note of a worker's end: what it worked on fails, and a fresh one starts if anything waits."""
        with self._changed:
            worker.alive = False
            if worker in self._workers:
                self._workers.remove(worker)
            victim = worker.current
            if victim is None and not worker.initialised and self._pending:
                victim = self._pending.popleft()  # it waited for this start, which failed
            if not self._closed:
                self._start_missing_worker()
            self._changed.notify_all()
        if victim is None:
            return
        how = f"signal: {signal.Signals(-exit_code).name}" if exit_code < 0 else f"exit status {exit_code}"
        result = describe_error("Runtime.ExitError", f"RequestId: {victim.request_id} Error: Runtime exited: {how}")
        if worker.init_error is not None:
            result = Result(payload=worker.init_error, error="Unhandled")
        if victim.finish(result):
            self._reports.write_line(f"{victim.request_id} Runtime exited: {how}")
            if victim.taken_at is not None:
                self._reports.write(worker, victim, status="error")

    def warm(self) -> None:
        """Starts a first worker ahead of any invocation."""
        with self._changed:
            if not self._workers and not self._closed:
                self._workers.append(Worker(self, self._launch, self._processes))

    def workers(self) -> list[Worker]:
        """The workers that run now."""
        with self._changed:
            return list(self._workers)

    def close(self) -> None:
        """Ends all workers; what runs or waits fails."""
        with self._changed:
            self._closed = True
            workers = list(self._workers)
            pending = list(self._pending)
            self._pending.clear()
            self._changed.notify_all()
        for invocation in [*pending, *(worker.current for worker in workers if worker.current)]:
            invocation.finish(describe_error("Runtime.Closed", "the local stack is stopping"))
        for worker in workers:
            worker.kill()

    def _start_missing_worker(self) -> None:
        """Starts one more worker if more invocations wait than workers are free or starting. Holds the lock."""
        starting = sum(not worker.initialised for worker in self._workers)
        if len(self._pending) > self._idle + starting and len(self._workers) < self.limit:
            self._workers.append(Worker(self, self._launch, self._processes))


PoolLookup = Callable[[str], FunctionPool]  # by logical id
