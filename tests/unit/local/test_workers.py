"""Functions under the real Lambda runtime client."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.declared import Function
from local.launching import Endpoints, build_launch
from local.processes import ProcessGroup
from local.workers import FunctionPool, Result

SAMPLES = Path(__file__).parent / "sample_functions"
ENDPOINTS = Endpoints(aws="http://127.0.0.1:1", s3="http://127.0.0.1:2", lambda_api="http://127.0.0.1:3")

MakePool = Callable[..., FunctionPool]


@pytest.fixture
def make_pool(tmp_path: Path) -> Iterator[MakePool]:
    """Makes pools of the sample function, which end with the test."""
    processes = ProcessGroup()
    pools = []

    def make(*, limit: int = 1, **changes: Any) -> FunctionPool:
        options: dict[str, Any] = {
            "logical_id": "Sample",
            "name": "stack-Sample",
            "handler": "sample.handler",
            "code": SAMPLES,
            "layers": (),
            "environment": {},
            "timeout": 10.0,
            "memory": 128,
            "inside_vpc": False,
            "log_format": "JSON",
            "log_level": "INFO",
            "reserved_concurrency": None,
        }
        function = Function(**{**options, **changes})
        launch = build_launch(function, endpoints=ENDPOINTS, logs=tmp_path, source=SAMPLES, runtime=tmp_path)
        pools.append(FunctionPool(function, launch, processes, limit=limit))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    processes.close()


def invoke(pool: FunctionPool, do: str, **more: Any) -> tuple[Any, str | None]:
    """Invokes the sample; gives its answer and the kind of error."""
    result = pool.invoke(json.dumps({"do": do, **more}).encode())
    assert result is not None
    return json.loads(result.payload), result.error


def read_log(tmp_path: Path, *, awaited: str = "", times: int = 1) -> str:
    """The function's log, once a text is in it; reports are written after the answer is given."""
    deadline = time.monotonic() + 5
    while True:
        log = (tmp_path / "Sample.log").read_text()
        if log.count(awaited) >= times or time.monotonic() > deadline:
            return log
        time.sleep(0.01)


def test_answer_comes_back(make_pool: MakePool) -> None:
    """What a handler returns is the payload, in any script."""
    assert invoke(make_pool(), "echo", text="Grüße 你好") == ({"do": "echo", "text": "Grüße 你好"}, None)


def test_worker_is_kept(make_pool: MakePool) -> None:
    """One process answers one invocation after the other."""
    pool = make_pool()
    assert len({invoke(pool, "tell")[0]["pid"] for _ in range(5)}) == 1


def test_context_is_lambdas(make_pool: MakePool) -> None:
    """A handler sees the time that it has left, its name and its request id."""
    answer, _ = invoke(make_pool(timeout=5.0), "tell")
    assert 3000 < answer["remaining_ms"] <= 5000
    assert answer["name"] == "stack-Sample"
    assert answer["request_id"]


def test_environment_is_the_templates(make_pool: MakePool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function has the template's variables and those that Lambda sets, and none of this shell's."""
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    answer, _ = invoke(make_pool(environment={"TABLE": "t", "DATABASE_TLS": "verify-full"}), "tell")
    environment = answer["environment"]
    assert environment["TABLE"] == "t"
    assert environment["DATABASE_TLS"] == "disable"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "stack-Sample"
    assert environment["AWS_ENDPOINT_URL"] == ENDPOINTS.aws
    assert "SECRET_OF_THE_SHELL" not in environment


def test_only_s3_is_reached_from_inside_the_vpc(make_pool: MakePool) -> None:
    """In the VPC there is an endpoint for S3 and for nothing else."""
    answer, _ = invoke(make_pool(inside_vpc=True), "tell")
    endpoints = {name: url for name, url in answer["environment"].items() if name.startswith("AWS_ENDPOINT_URL")}
    assert endpoints == {"AWS_ENDPOINT_URL_S3": ENDPOINTS.s3}


def test_exception_is_a_function_error(make_pool: MakePool, tmp_path: Path) -> None:
    """An exception gives its type and message; the worker lives on, and the log tells."""
    pool = make_pool()
    pid = invoke(pool, "tell")[0]["pid"]
    answer, error = invoke(pool, "fail")
    assert (error, answer["errorType"]) == ("Unhandled", "ZeroDivisionError")
    assert invoke(pool, "tell")[0]["pid"] == pid
    assert "ZeroDivisionError" in read_log(tmp_path)


def test_crash_is_a_function_error(make_pool: MakePool) -> None:
    """A process that dies fails its invocation; the next one has a fresh process."""
    pool = make_pool()
    pid = invoke(pool, "tell")[0]["pid"]
    answer, error = invoke(pool, "exit")
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert "exit status 7" in answer["errorMessage"]
    assert invoke(pool, "tell")[0]["pid"] != pid


def test_timeout_kills(make_pool: MakePool, tmp_path: Path) -> None:
    """A handler that takes longer than its timeout is killed at that time, and its successor answers."""
    pool = make_pool(timeout=0.5)
    pid = invoke(pool, "tell")[0]["pid"]  # the start does not count
    began = time.monotonic()
    answer, error = invoke(pool, "sleep", seconds=20)
    assert 0.4 < time.monotonic() - began < 3
    assert error == "Unhandled"
    assert "Task timed out after 0.50 seconds" in answer["errorMessage"]
    assert invoke(pool, "tell")[0]["pid"] != pid
    assert time.monotonic() - began < 10  # nobody waited for the sleeper
    assert '"status": "timeout"' in read_log(tmp_path, awaited='"timeout"')


def test_failing_start_is_told(make_pool: MakePool) -> None:
    """A module that cannot be imported fails each invocation with the reason, and nothing hangs."""
    pool = make_pool(environment={"FAIL_TO_START": "1"})
    for _ in range(2):
        answer, error = invoke(pool, "echo")
        assert error == "Unhandled"
        assert "no start" in answer["errorMessage"]


def test_workers_are_started_as_needed(make_pool: MakePool) -> None:
    """Invocations at once get a process each up to the limit; the rest wait their turn."""
    pool = make_pool(limit=2)
    invoke(pool, "tell")
    assert len(pool.workers()) == 1
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(invoke(pool, "sleep", seconds=0.3))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(None, None)] * 4
    assert len(pool.workers()) == 2


def test_impatience(make_pool: MakePool) -> None:
    """Whoever waits no longer than so long gets no answer, while the function goes on."""
    pool = make_pool()
    invoke(pool, "tell")
    assert pool.invoke(json.dumps({"do": "sleep", "seconds": 1}).encode(), patience=0.2) is None
    assert invoke(pool, "echo") == ({"do": "echo"}, None)


@pytest.mark.parametrize(
    ("do", "kind"), [("large", "Function.ResponseSizeTooLarge"), ("echo", "RequestEntityTooLarge")]
)
def test_six_megabytes_are_the_limit(make_pool: MakePool, do: str, kind: str) -> None:
    """Neither an event nor an answer may be larger than Lambda takes."""
    padding = "x" * (7 * 1024 * 1024 if do == "echo" else 0)
    answer, error = invoke(make_pool(), do, padding=padding)
    assert (error, answer["errorType"]) == ("Unhandled", kind)


@pytest.mark.parametrize("log_format", ["JSON", "Text"])
def test_report(make_pool: MakePool, tmp_path: Path, log_format: str) -> None:
    """Each invocation leaves its duration and memory in the log, the first one also how long the start took."""
    pool = make_pool(log_format=log_format)
    invoke(pool, "print")
    invoke(pool, "echo")
    log = read_log(tmp_path, awaited="platform.report" if log_format == "JSON" else "REPORT", times=2)
    assert "said by the handler" in log
    if log_format == "Text":
        assert log.count("REPORT RequestId: ") == 2
        assert log.count("Init Duration: ") == 1
        return
    reports = [json.loads(line)["record"] for line in log.splitlines() if "platform.report" in line]
    assert [report["status"] for report in reports] == ["success", "success"]
    assert ["initDurationMs" in report["metrics"] for report in reports] == [True, False]
    assert all(report["metrics"]["durationMs"] > 0 for report in reports)


def test_closed_pool_refuses(make_pool: MakePool) -> None:
    """After the end nothing is invoked any more, and what waited has failed."""
    pool = make_pool()
    results: list[Result | None] = []
    invoke(pool, "tell")
    event = json.dumps({"do": "sleep", "seconds": 20}).encode()
    thread = threading.Thread(target=lambda: results.append(pool.invoke(event)))
    thread.start()
    time.sleep(0.2)
    pool.close()
    thread.join(5)
    assert results[0] is not None
    assert results[0].error == "Unhandled"
    assert invoke(pool, "echo")[1] == "Unhandled"
