"""The listener's start-up and warm call beside a plain boto3 handler, under the real runtime client.

Start-up is from the spawn of the process to its first answer at the Runtime API. S3 and Secrets Manager are a moto
server that runs already. The listener also fetches its secret at its first call, the boto3 handler has it at hand.
"""

from __future__ import annotations

import base64
import compileall
import importlib.util
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import Figure, Target, find_percentile
from bench.progress import count_up, say
from bench.runtime import Candidate, Environment, start_environment
from bench.traffic import batches
from local.cloud import Cloud
from local.launching import CREDENTIALS, build_helper_environment, make_runtime_folder
from local.processes import ProcessGroup
from local.state import PROJECT
from local.template import REGION

TARGET = Target(most=0.5)
ROUNDS = 21
WARM_CALLS, WARM_UP = 300, 20
EVENTS = 100  # of a body
BUCKET, SECRET = "bench-raw", "bench-webhooks"
LOGIN = "mailwake:bench"
LISTENER, BOTO3, EMPTY = "listener", "boto3 handler", "empty handler"


def measure_listener(seed: int) -> list[Figure]:
    """Rounds in turns, then warm calls in turns."""
    processes = ProcessGroup()
    with tempfile.TemporaryDirectory(prefix="mailwake-bench-") as name:
        folder = Path(name)
        try:
            processes.guard_folder(folder)
            cloud = Cloud(processes, log=folder / "moto.log", environment=build_helper_environment())
            cloud.await_start()
            cloud.client("s3").create_bucket(Bucket=BUCKET)
            cloud.client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps({"sparkpost": LOGIN}))
            candidates = _prepare(cloud.url, folder)
            starts, warm = _run(candidates, processes, folder / "log", _make_requests(seed))
            cloud.close()
        finally:
            processes.close()
    return _report(starts, warm)


def _prepare(cloud_url: str, folder: Path) -> list[Candidate]:
    """The candidates, everything that they import compiled."""
    runtime = make_runtime_folder(folder / "runtime")
    functions, handlers = PROJECT / "functions", PROJECT / "bench" / "handlers"
    for path in (
        functions,
        handlers,
        *map(Path, filter(None, map(_find_folder, ("awslambdaric", "boto3", "botocore")))),
    ):
        compileall.compile_dir(path, quiet=1)
    shared = {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": cloud_url,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": "INFO",
        "AWS_REGION": REGION,
        "LANG": "en_US.UTF-8",
        "RAW_BUCKET": BUCKET,
        "TZ": ":UTC",
    }

    def make(name: str, handler: str, code: Path, own: Mapping[str, str]) -> Candidate:
        environment = {**shared, "LAMBDA_TASK_ROOT": str(code), **own}
        return Candidate(name=name, handler=handler, path=(code, runtime), environment=environment)

    return [
        make(LISTENER, "webhook_listener.app.handler", functions, {"WEBHOOK_SECRET_ID": SECRET}),
        make(BOTO3, "boto3_handler.handler", handlers, {"WEBHOOK_LOGIN": LOGIN}),
        make(EMPTY, "empty_handler.handler", handlers, {}),
    ]


def _find_folder(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    return str(Path(spec.origin).parent) if spec and spec.origin else None


def _make_requests(seed: int) -> Iterator[bytes]:
    """Events of API Gateway's (payload 2.0), each with a body of its own."""
    login = base64.b64encode(LOGIN.encode()).decode()
    for number, body in enumerate(batches(1_000_000, seed, batch_size=EVENTS), 1):
        yield json.dumps(
            {
                "version": "2.0",
                "routeKey": "ANY /webhooks/{provider}",
                "rawPath": "/webhooks/sparkpost",
                "rawQueryString": "",
                "headers": {
                    "authorization": f"Basic {login}",
                    "content-type": "application/json",
                    "user-agent": "SparkPost",
                    "x-messagesystems-batch-id": f"bench-{number}",
                },
                "requestContext": {
                    "requestId": f"bench-{number}",
                    "http": {"method": "POST", "path": "/webhooks/sparkpost", "sourceIp": "127.0.0.1"},
                },
                "pathParameters": {"provider": "sparkpost"},
                "body": body.decode(),
                "isBase64Encoded": False,
            }
        ).encode()


def _run(
    candidates: list[Candidate], processes: ProcessGroup, log: Path, requests: Iterator[bytes]
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds of each start-up and of each warm call, by candidate."""
    starts: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    warm: dict[str, list[float]] = {candidate.name: [] for candidate in candidates}
    show = count_up("starting listener and boto3 handler", ROUNDS)
    for number in range(ROUNDS + 1):
        for candidate in candidates:
            with start_environment(candidate, processes, log) as environment:
                at = _call(environment, next(requests))
                if number:  # the first round only fills the page cache
                    starts[candidate.name].append((at - environment.spawned_at) * 1000)
        show(number)
    say("calling each warm")
    for candidate, number in itertools.product(candidates, (1, 2, 3)):
        with start_environment(candidate, processes, log) as environment:
            for call in range(WARM_UP + WARM_CALLS // 3):
                request = next(requests)
                at = time.perf_counter()
                took = (_call(environment, request) - at) * 1000
                if call >= WARM_UP:
                    warm[candidate.name].append(took)
        say(f"  {candidate.name}, {number} of 3")
    return starts, warm


def _call(environment: Environment, request: bytes) -> float:
    """When the answer came; it must be 200, or its time would mean nothing."""
    at, answer = environment.invoke(request)
    content: Any = json.loads(answer)
    if content.get("statusCode") != 200:
        raise RuntimeError(f"the handler answered {answer.decode(errors='replace')[:500]}")
    return at


def _report(starts: dict[str, list[float]], warm: dict[str, list[float]]) -> list[Figure]:
    own, boto3, empty = (median(starts[name]) for name in (LISTENER, BOTO3, EMPTY))
    ratio = median(one / other for one, other in zip(starts[LISTENER], starts[BOTO3], strict=True))
    p50s = {name: median(times) for name, times in warm.items()}
    p99s = {name: find_percentile(times, 99) for name, times in warm.items()}
    return [
        Figure(
            name="listener start-up",
            measured=f"{own:.0f} ms",
            compared=f"boto3 handler {boto3:.0f} ms",
            ratio=ratio,
            target=TARGET,
        ),
        Figure(name="  an empty handler's", measured=f"{empty:.0f} ms"),
        Figure(
            name=f"  warm call p50, {EVENTS} events",
            measured=f"{p50s[LISTENER]:.1f} ms",
            compared=f"boto3 handler {p50s[BOTO3]:.1f} ms",
            ratio=p50s[LISTENER] / p50s[BOTO3],
        ),
        Figure(
            name="  warm call p99",
            measured=f"{p99s[LISTENER]:.1f} ms",
            compared=f"boto3 handler {p99s[BOTO3]:.1f} ms",
            ratio=p99s[LISTENER] / p99s[BOTO3],
        ),
        Figure(name="  an empty handler's", measured=f"{p50s[EMPTY]:.1f} ms"),
    ]
