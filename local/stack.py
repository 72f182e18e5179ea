"""The whole stack in one object: starts everything that template.yaml declares, and stops it without a trace.

Tests and benchmarks use it as `with Stack() as stack: …` with `stack.webhook_url`, `stack.webhook_auth`,
`stack.api_url`, `stack.api_key` and `stack.database_dsn()`.
"""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil

from admin.api_keys import create_api_key
from local import declared
from local.cloud import MAIL_EVENTS, Cloud, Resources
from local.deploying import ControlServer
from local.gateway import Gateway
from local.inbox import Inbox
from local.launching import Endpoints, build_helper_environment, build_launch, make_runtime_folder
from local.mail_pages import INBOX
from local.postgres import SUPERUSER, Postgres
from local.processes import ProcessGroup
from local.queues import QueuePoller
from local.schedules import Clock, build_scheduled_event
from local.state import PROJECT, STATE_ROOT, StackState, explain_port, remove_old_folders
from local.template import Template, TemplateError, load_template
from local.waiting import count_messages
from local.workers import FunctionPool, Result

HTTP_WORKERS = 2  # of a function behind a route: enough to see that requests do not share a process
MOST_WORKERS = 4  # of any function, however many the template allows: they share one machine
WEBHOOK_USER = "mailwake"  # what a secret without a user name stands for


class PortTakenError(Exception):
    """The gateway's port is in use; the message says by whom, as far as known, and what to do."""


def say_nothing(_message: str) -> None:
    """Progress that nobody wants to see."""


class Stack:
    """A running local stack. Logical ids (as in "LoadQueue") are those of template.yaml.

    `port` 0 takes a free one. `directory` keeps logs and state (.local/<port>/ by default). `code` is the folder of
    `sam build` (default: MAILWAKE_CODE; without it the work tree's functions/ run). `parameters` and `overrides`
    (as {"LoadQueue.VisibilityTimeout": 2}) change the template.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        directory: Path | None = None,
        template: Path | None = None,
        code: Path | None = None,
        parameters: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        say: Callable[[str], None] = say_nothing,
    ) -> None:
        built = code or (Path(os.environ["MAILWAKE_CODE"]) if os.environ.get("MAILWAKE_CODE") else None)
        template_path = template or (built or PROJECT) / "template.yaml"
        if not template_path.exists():
            raise TemplateError(f"there is no {template_path}" + ("; run `make build` first" if built else ""))
        self._source = None if built else template_path.parent / "functions"
        self.template: Template = load_template(template_path, parameters=parameters, overrides=overrides)
        self._wanted_port = port
        self._directory = directory
        self._say = say
        self._closing = contextlib.ExitStack()
        self.pools: dict[str, FunctionPool] = {}
        self.pollers: dict[str, QueuePoller] = {}  # by the function's logical id
        self.webhook_password = ""
        self.api_key = ""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops everything; a second call does nothing."""
        self._closing.close()

    # What a client needs.

    @property
    def port(self) -> int:
        """The gateway's port."""
        return self.gateway.server.port

    @property
    def url(self) -> str:
        """The gateway's URL."""
        return self.gateway.server.url

    @property
    def cloud_port(self) -> int:
        """The moto server's port."""
        return int(self.cloud.url.rpartition(":")[2])

    @property
    def webhook_url(self) -> str:
        """Where SparkPost's batches are posted."""
        return f"{self.url}/webhooks/sparkpost"

    @property
    def webhook_auth(self) -> tuple[str, str]:
        """User and password for the webhook."""
        return WEBHOOK_USER, self.webhook_password

    @property
    def api_url(self) -> str:
        """Base of the API."""
        return f"{self.url}/api/v1"

    @property
    def inbox_url(self) -> str:
        """The page with all mails that were sent."""
        return f"{self.url}{INBOX}"

    @property
    def mail_events_topic(self) -> str:
        """The ARN of the topic by which SES tells of mails; empty where the deployment has none."""
        return str(self.resources.lookup(MAIL_EVENTS, None)) if MAIL_EVENTS in self.template.resources else ""

    def client(self, service: str) -> Any:
        """A boto3 client of the stack's AWS."""
        return self.cloud.client(service)

    def name(self, logical_id: str) -> str:
        """A resource's physical name."""
        return self.resources.name(logical_id)

    def queue_url(self, logical_id: str) -> str:
        """A queue's URL."""
        return str(self.resources.lookup(logical_id, None))

    def database_dsn(self, user: str = SUPERUSER) -> str:
        """A connection string for the database, as any role."""
        return self.postgres.dsn(user, self.database)

    def log_path(self, logical_id: str) -> Path:
        """The log of a function."""
        return self.directory / "logs" / f"{logical_id}.log"

    # Starting, in the order in which one thing needs another.

    def _start(self) -> None:
        self._open_gateway()
        self.processes = ProcessGroup()
        self._closing.callback(self.processes.close)
        self._say("starting Postgres and a moto server")
        self.cloud = Cloud(self.processes, log=self._logs / "moto.log", environment=build_helper_environment())
        self._closing.callback(self.cloud.close)
        self._start_postgres()  # while the moto server imports its modules
        self.cloud.await_start()
        self.resources = Resources(self.template, self.cloud, database_port=self.postgres.port, api_url=self.url)
        self.resources.create()
        self._make_pools()
        self._say("creating the schema")
        for resource in declared.read_custom_resources(self.template, self.resources.lookup):
            self.control.create(resource, self.pools[resource.function], stack_name=self.template.stack_name)
        self._serve()
        self._write_state()

    def _open_gateway(self) -> None:
        """Takes the port first: of all that can be wrong it is the likeliest, and the folder is named after it."""
        try:
            self.gateway = Gateway(self._pool, port=self._wanted_port)
        except OSError as error:
            raise PortTakenError(explain_port(self._wanted_port)) from error
        self._closing.callback(self.gateway.close)
        if self._directory is None:
            remove_old_folders()
        self.directory = self._directory or STATE_ROOT / str(self.gateway.server.port)
        self._logs = self.directory / "logs"
        shutil.rmtree(self._logs, ignore_errors=True)
        self._logs.mkdir(parents=True)
        self.gateway.open_log(self._logs / "HttpApi.log")
        self._closing.callback((self.directory / "stack.json").unlink, missing_ok=True)

    def _start_postgres(self) -> None:
        instances = self.template.of_type("AWS::RDS::DBInstance")
        if len(instances) != 1:
            raise TemplateError(f"the local stack has one Postgres, the template {len(instances)} database instances")
        properties = self.template.properties(instances[0])
        self.database = str(properties["DBName"])
        settings: dict[str, str] = {}
        for group in self.template.of_type("AWS::RDS::DBParameterGroup"):
            settings |= self.template.properties(group).get("Parameters") or {}
        self.postgres = Postgres(
            self.processes, directory=self.directory, log=self._logs / "postgres.log", settings=settings
        )
        self._closing.callback(self.postgres.close)
        self.postgres.initialise(master=str(properties["MasterUsername"]), database=self.database)

    def _make_pools(self) -> None:
        functions = declared.read_functions(self.template, self.resources.lookup)
        self.control = ControlServer(self._pool, {one: function.name for one, function in functions.items()})
        self._closing.callback(self.control.close)
        consumers = declared.read_queue_consumers(self.template, self.resources.lookup)
        limits = {one.function: min(one.maximum_concurrency or MOST_WORKERS, MOST_WORKERS) for one in consumers}
        endpoints = Endpoints(aws=self.cloud.url, s3=self.cloud.url, lambda_api=self.control.url)
        runtime = self.directory / "runtime"
        if self._source is None:
            make_runtime_folder(runtime)
        for logical_id, function in functions.items():
            launch = build_launch(function, endpoints=endpoints, logs=self._logs, source=self._source, runtime=runtime)
            limit = min(limits.get(logical_id, HTTP_WORKERS), function.reserved_concurrency or MOST_WORKERS)
            pool = FunctionPool(function, launch, self.processes, limit=limit)
            self._closing.callback(pool.close)
            self.pools[logical_id] = pool

    def _pool(self, logical_id: str) -> FunctionPool:
        return self.pools[logical_id]

    def _serve(self) -> None:
        lookup = self.resources.lookup
        self._say("starting functions")
        routes = declared.read_routes(self.template, lookup)
        consumers = declared.read_queue_consumers(self.template, lookup)
        behind_routes = {one for route in routes for one in (route.function, route.authorizer) if one}
        for logical_id in behind_routes | {consumer.function for consumer in consumers}:
            self.pools[logical_id].warm()
        self._make_logins()
        self.clock = Clock(on_failure=self._report_schedule_failure)
        self._closing.callback(self.clock.stop)
        for schedule in declared.read_schedules(self.template, lookup):
            self.clock.start(schedule, self.pools[schedule.function])
        for consumer in consumers:
            queue = consumer.queue_arn.rpartition(":")[2]
            queue_url = self.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
            poller = QueuePoller(consumer, self.pools[consumer.function], sqs=self.client("sqs"), queue_url=queue_url)
            poller.start()
            self.pollers[consumer.function] = poller
            self._closing.callback(poller.stop)
        self._open_inbox()
        self.gateway.serve(routes)

    def _open_inbox(self) -> None:
        mailer = self.pools.get("Mailer")
        unsubscribe = urlsplit(mailer.function.environment["UNSUBSCRIBE_URL"]) if mailer else urlsplit("")
        self.inbox = Inbox(
            cloud_port=self.cloud_port,
            port=self.port,
            topic=self.mail_events_topic,
            origin=f"{unsubscribe.scheme}://{unsubscribe.netloc}",
            say=self._say,
        )
        self.inbox.start()
        self._closing.callback(self.inbox.stop)
        self.gateway.own = self.inbox.answer

    def _make_logins(self) -> None:
        """Reads the webhook's password as the listener does, and makes a first API key."""
        if "WebhookSecret" in self.template.resources:
            secret_id = self.resources.lookup("WebhookSecret", None)
            secret = self.client("secretsmanager").get_secret_value(SecretId=secret_id)
            self.webhook_password = json.loads(secret["SecretString"])["sparkpost"]
        if "ApiKeysTable" in self.template.resources:
            self.api_key = create_api_key(
                self.client("dynamodb"), self.name("ApiKeysTable"), name="demo", scopes=["events:read", "pii:read"]
            )

    def run_schedule(self, logical_id: str) -> None:
        """Runs a function as its schedule does, now, and waits for it."""
        result = self._pool(logical_id).invoke(json.dumps(build_scheduled_event()).encode())
        if result is not None and result.error is not None:
            self._report_schedule_failure(logical_id, result)

    def _report_schedule_failure(self, logical_id: str, result: Result) -> None:
        self._say(f"scheduled run of {logical_id} failed: {result.payload.decode(errors='replace')[:500]}")

    def _write_state(self) -> None:
        StackState(
            pid=os.getpid(),
            started_at=psutil.Process().create_time(),
            port=self.port,
            webhook_url=self.webhook_url,
            webhook_user=WEBHOOK_USER,
            webhook_password=self.webhook_password,
            api_url=self.api_url,
            api_key=self.api_key,
            cloud_url=self.cloud.url,
            postgres_port=self.postgres.port,
            database=self.database,
            raw_bucket=self.name("RawBucket"),
            load_queue_url=self.queue_url("LoadQueue"),
            api_keys_table=self.name("ApiKeysTable"),
        ).write(self.directory)

    # Faults, for tests.

    def kill_workers(self, logical_id: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signals every process of a function; gives their number."""
        workers = self.pools[logical_id].workers()
        for worker in workers:
            worker.kill(number)
        return len(workers)

    def stop_postgres(self) -> None:
        """Stops Postgres as a crash would."""
        self.postgres.stop(immediate=True)

    def start_postgres(self) -> None:
        """Starts Postgres again, on its old port."""
        self.postgres.start()

    @contextlib.contextmanager
    def fault(self, **faults: Any) -> Iterator[None]:
        """Sets faults of the stack's AWS (fields of `local.cloud_server.Faults`) for the time of a block."""
        before = self.cloud.set_faults(**faults)
        try:
            yield
        finally:
            self.cloud.set_faults(**before)

    def count_messages(self, logical_id: str) -> int:
        """The messages of a queue, visible and in flight."""
        return count_messages(self.client("sqs"), self.queue_url(logical_id))

    def await_empty_queue(self, logical_id: str = "LoadQueue", *, patience: float = 30.0) -> None:
        """Waits until a queue has no message left, also none in flight."""
        deadline = time.monotonic() + patience
        while self.count_messages(logical_id):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{logical_id} still has messages after {patience:.0f} s")
            time.sleep(0.05)
