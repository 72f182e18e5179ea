"""Commands of the local stack: run, demo, logs, stop, api-key, replay."""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

import psycopg2

from admin.api_keys import ApiKeyError
from admin.commands import add_api_key_arguments, add_replay_arguments, run_api_key, show_replay
from admin.replay import ReplayError
from local.cloud import make_client
from local.cohort_tour import SENDER
from local.database import empty_tables
from local.demo import RECIPIENT, DemoError, post_samples, run_demo
from local.deploying import DeployError
from local.logs import show_logs
from local.postgres import PostgresError
from local.stack import PortTakenError, Stack
from local.state import DEFAULT_PORT, STATE_ROOT, NoStackError, StackState, await_end, find_stack
from local.template import TemplateError

STOP_PATIENCE_S = 15.0
SENDING = {"SenderAddress": SENDER, "SenderIdentity": SENDER}


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; a port is taken from --port, else from the variable PORT."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Mailwake's local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    port = argparse.ArgumentParser(add_help=False)
    port.add_argument(
        "--port", type=int, default=read_port(), help=f"the gateway's port (default: $PORT, else {DEFAULT_PORT})"
    )
    commands.add_parser("run", parents=[port], help="start everything and stay; Ctrl-C stops it")
    commands.add_parser(
        "demo", parents=[port], help="start everything, load sample events, look one recipient up, stop"
    )
    logs = commands.add_parser("logs", parents=[port], help="show the logs of the functions")
    logs.add_argument("function", nargs="?", help="logical id of one function, or postgres, moto, HttpApi")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as lines come")
    logs.add_argument("-n", "--lines", type=int, default=200, help="how many of the last lines of each (default: 200)")
    commands.add_parser("stop", parents=[port], help="stop a running stack")
    keys = commands.add_parser("api-key", help="make, list or revoke API keys")
    add_api_key_arguments(keys, port, required=False)
    replay = commands.add_parser("replay", parents=[port], help="load stored batches again")
    add_replay_arguments(replay)
    replay.add_argument("--rebuild", action="store_true", help="empty the database first")
    return parser.parse_args(arguments)


def read_port() -> int | None:
    """The variable PORT; None where it is not set."""
    text = os.environ.get("PORT", "")
    if text and not text.isdigit():
        raise SystemExit(f"PORT must be a number, not {text!r}")
    return int(text) if text else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives the exit code."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    command = {
        "run": run,
        "demo": demo,
        "logs": logs,
        "stop": stop,
        "api-key": api_key,
        "replay": replay,
    }[options.command]
    try:
        return command(options)
    except (NoStackError, PortTakenError, ApiKeyError, ReplayError, PostgresError, TemplateError, DemoError) as error:
        print(error, file=sys.stderr)
    except DeployError as error:
        print(f"the schema could not be created.\n{error}", file=sys.stderr)
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    return 1


def run(options: argparse.Namespace) -> int:
    """Starts a stack and keeps it until Ctrl-C or SIGTERM."""
    began = time.monotonic()
    port = DEFAULT_PORT if options.port is None else options.port
    with stop_on_signals() as stopped, Stack(port=port, say=say_step, parameters=SENDING) as stack:
        post_samples(stack)
        say_step(f"ready after {time.monotonic() - began:.1f} s")
        print(describe(stack), flush=True)
        try:
            # Ended by the signal's exception. A signal that arrives just before a wait, or in another thread, does not
            # end the wait: so each is short.
            while not stopped.wait(0.5):
                pass
        finally:
            say_step("stopping")
    return 0


def demo(options: argparse.Namespace) -> int:
    """Runs the demonstration on a stack of its own; beside one that runs already, on any free port."""
    port = DEFAULT_PORT if options.port is None else options.port
    with stop_on_signals() as stopped:
        try:
            return run_demo(port=port, stopped=stopped)
        except PortTakenError:
            say_step(f"port {port} is taken, the demonstration takes another one")
            return run_demo(port=0, stopped=stopped)


def logs(options: argparse.Namespace) -> int:
    """Prints logs."""
    state = find_stack(options.port or None)
    show_logs(STATE_ROOT / str(state.port) / "logs", options.function, follow=options.follow, lines=options.lines)
    return 0


def stop(options: argparse.Namespace) -> int:
    """Ends a stack, and waits until it has ended."""
    state = find_stack(options.port or None)
    os.kill(state.pid, signal.SIGTERM)
    if not await_end(state.pid, STOP_PATIENCE_S):
        print(f"the stack on port {state.port} (process {state.pid}) does not stop", file=sys.stderr)
        return 1
    print(f"stopped the stack on port {state.port}")
    return 0


def api_key(options: argparse.Namespace) -> int:
    """Makes, lists or revokes keys of a running stack."""
    if options.action is None:  # `make api-key` alone: a key is what one wants
        options = parse_arguments(["api-key", "create", "--name", "local"])
    state = find_stack(options.port or None)
    run_api_key(options, make_client("dynamodb", state.cloud_url), state.api_keys_table)
    return 0


def replay(options: argparse.Namespace) -> int:
    """Loads stored batches of a running stack again, into an empty database if wished, and waits for it."""
    state = find_stack(options.port or None)
    if options.rebuild:
        with contextlib.closing(psycopg2.connect(state.database_dsn())) as connection:
            empty_tables(connection)
        print("emptied the database")
    sqs = make_client("sqs", state.cloud_url)
    s3 = make_client("s3", state.cloud_url)
    show_replay(s3, sqs, bucket=state.raw_bucket, queue_url=state.load_queue_url, prefix=options.prefix)
    return await_load(state, sqs)


def await_load(state: StackState, sqs: object) -> int:
    """Waits until the load queue is empty, with a line of progress; gives the exit code."""
    from local.waiting import count_messages

    began = time.monotonic()
    while left := count_messages(sqs, state.load_queue_url):
        if sys.stdout.isatty():
            print(f"\r{left} objects to load ", end="", flush=True)
        time.sleep(0.2)
    print(f"{chr(13) if sys.stdout.isatty() else ''}loaded in {time.monotonic() - began:.1f} s")
    return 0


def describe(stack: Stack) -> str:
    """Where everything is, with a command to try."""
    user, password = stack.webhook_auth
    happened = "'$(($(date +%s) - 90))'"  # put in by the shell
    event = (
        f'{{"type":"delivery","event_id":"1","timestamp":"{happened}","rcpt_to":"ann@example.com","subject":"Hello"}}'
    )
    return f"""
  webhook  {stack.webhook_url}
           basic auth, user {user}, password {password}
  console  {stack.url}/console#/recipients/{RECIPIENT}
           sign in with the API key below; this recipient has mail already
  mails    {stack.inbox_url}
           what was sent to members and the team; it reaches nobody else
  API      {stack.api_url}
           API key {stack.api_key}
  logs     make logs, or {stack.directory}/logs/

Send an event and look its recipient up:

  curl -u {user}:{password} -H 'Content-Type: application/json' {stack.webhook_url} \\
    -d '[{{"msys":{{"message_event":{event}}}}}]'
  curl -H 'Authorization: {stack.api_key}' '{stack.api_url}/events/message?recipients=ann@example.com'

Ctrl-C stops everything."""


def say_step(message: str) -> None:
    """A line of progress."""
    print(f"local stack: {message}", flush=True)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into an exception while a stack starts, else into a set event.

    A second one while everything is being stopped is ignored: stopping takes a second, and must be finished.
    """
    stopped = threading.Event()
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        # Setting the event here could deadlock: the thread that was interrupted may hold the event's lock.
        noted.append(number)
        if len(noted) == 1:
            raise KeyboardInterrupt(signal.Signals(number).name)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield stopped
    except KeyboardInterrupt:
        if not noted:
            raise
        stopped.set()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
