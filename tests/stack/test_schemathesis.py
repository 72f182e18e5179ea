"""The running API does what its OpenAPI document says, whatever it is asked."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from admin.api_keys import create_api_key
from cohort_evaluator.evaluation import evaluate_cohorts
from cohort_evaluator.store import save_cohort, save_template
from common.clock import now
from local.stack import Stack
from query_events.change_schemas import HELLO
from tests.stack.client import await_events, call, make_event, make_recipient, post

MOST_REQUESTS = 60  # for each path, of those that are drawn; those at the edges of each parameter come on top
MOST_SECONDS = 400
SEED = 20261121

# Every check of schemathesis but two: a value that has the right form may still be refused, as a cursor of no page is;
# and SparkPost's searches take empty values and unknown names for not given.
CONFIG = """
headers = {{ Authorization = "{key}" }}
workers = 2
seed = {seed}
continue-on-failure = true
request-timeout = 30.0
reports.directory = "{directory}"
[generation]
max-examples = {requests}
database = "none"
dictionaries.string = {{ dictionary = "texts", probability = 0.3 }}
[dictionaries.texts]
values = {texts}
[phases.stateful]
enabled = false
[checks]
positive_data_acceptance.enabled = false
[[operations]]
include-path-regex = "/(events/message|message-events|export)$"
checks.negative_data_rejection.enabled = false
"""


def ask(stack: Stack, target: str) -> Any:
    """What the API answers."""
    status, _, body = call(stack, "GET", target, headers={"Authorization": stack.api_key})
    assert status == 200, body
    return json.loads(body)


def bind(name: str, *values: str) -> str:
    """The part of a configuration that draws a parameter from values that lead to answers, half the time."""
    return (
        f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n"
        f'[parameters.{name}]\ndictionary = "{name}"\nprobability = 0.5\n'
    )


def evaluate_cohort(stack: Stack) -> None:
    """Saves a cohort that everybody with mail is in, one that keeps it from being deleted, and a template."""
    members = {"did": {"event": "mail"}, "count": {">=": 1}, "window": {"ever": True}}
    definition = {"name": "got-mail", "title": "Got mail", "subject": "user", "members": members}
    keeping = {**definition, "name": "keeping", "members": {"cohort": "got-mail"}}
    with contextlib.closing(psycopg2.connect(stack.database_dsn(), options="-c timezone=UTC")) as connection:
        save_cohort(connection, definition, now(), "test")
        save_cohort(connection, keeping, now(), "test")
        save_template(connection, "hello", HELLO, now(), "test")
        evaluate_cohorts(connection, now())


@pytest.mark.slow
def test_api_is_as_declared(stack: Stack, tmp_path: Path) -> None:
    """No 5xx, and every answer has a status, headers and a body that the document declares, for good input and bad.

    What changes something is asked for, too.
    """
    keys = stack.client("dynamodb"), stack.name("ApiKeysTable")
    key = create_api_key(*keys, name="writer", scopes=["events:read", "pii:read", "cohorts:write"])
    recipient = make_recipient()
    kinds = ("injection", "delay", "delivery", "open", "click", "bounce", "spam_complaint", "list_unsubscribe")
    batch = [make_event(recipient, kind=kind, message_id=f"m{recipient}", raw_reason="550 no") for kind in kinds]
    assert post(stack, [*batch, "no event"]) == 200
    await_events(stack, recipient, len(kinds))
    evaluate_cohort(stack)
    found = ask(stack, f"/api/v1/events/message?recipients={recipient}")["results"]
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(ask(stack, "/api/v1/openapi.json")))
    config = tmp_path / "schemathesis.toml"
    texts = json.dumps([recipient, "delivery", "orders", "Your order", "sparkpost", "550 no", "2026-11-21T09:30:00Z"])
    config.write_text(
        CONFIG.format(key=key, seed=SEED, requests=MOST_REQUESTS, directory=tmp_path, texts=texts)
        + bind("from", "2026-11-21", "2026-11-01T00:00", "2026-11-21T09:30:00.5+01:00")
        + bind("to", "2099-11-21T09:30:00Z")
        + bind("cursor", "initial", "")
        + bind("delimiter", ",", ";", "")
        + bind("timezone", "UTC", "America/New_York")
        + bind("address", recipient)
        + bind("message_id", f"m{recipient}")
        + bind("cohort", "got-mail")
        + bind("notification", "team")
        + bind("template", "hello")
        + bind("goal", "got-mail")
        + bind("within", "7 days", "2 weeks")
        + bind("person", recipient)
        + bind("event_key", *(event["event_key"] for event in found))
    )
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(config),
        "run",
        str(document),
        "--url",
        stack.url,
    ]
    finished = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=MOST_SECONDS)
    if finished.returncode:
        pytest.fail(finished.stdout[-20_000:] + finished.stderr[-2_000:])
