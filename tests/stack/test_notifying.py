"""From somebody's call to the team's mail: the evaluator, the outbox, the mailer, SES, and the report of it."""

import contextlib
import http.client
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from admin.api_keys import create_api_key
from local.cohort_tour import NAME, Tour
from local.stack import Stack
from tests.stack.client import await_true, select


def put(stack: Stack, target: str, body: Any) -> int:
    """Saves something, with a key that may."""
    keys = stack.client("dynamodb"), stack.name("ApiKeysTable")
    key = create_api_key(*keys, name="marketing", scopes=["cohorts:write"])
    headers = {"Authorization": key, "Content-Type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=40)) as connection:
        connection.request("PUT", target, body=json.dumps(body).encode(), headers=headers)
        return connection.getresponse().status


def test_team_is_mailed(tmp_path: Path) -> None:
    """Once, with who entered; the attempt is kept."""
    parameters = {"SenderAddress": "mailwake@example.com", "SenderIdentity": "mailwake@example.com"}
    with Stack(directory=tmp_path, parameters=parameters) as stack:
        stack.client("sesv2").create_email_identity(EmailIdentity="mailwake@example.com")
        tour = Tour(stack, 60)
        assert tour.save_cohort() == 201
        digest: dict[str, Any] = {"name": "team", "cohort": NAME, "on": ["entered"], "period": "1 second"}
        digest["channel"] = {"email": {"to": ["team@example.com"]}}
        assert put(stack, "/api/v1/notifications/team", digest) == 200
        stack.run_schedule("CohortEvaluator")
        tour.call(400, datetime.now(UTC))
        tour.await_transitions(["entered"])

        def is_told() -> bool:
            stack.run_schedule("CohortEvaluator")
            return bool(select(stack, "SELECT 1 FROM deliveries"))

        await_true(is_told, "the delivery's report")
        (row,) = select(stack, "SELECT channel, state, recipient, attempt, message_id IS NOT NULL FROM deliveries")
        assert row == ("email", "sent", "team@example.com", 1, True)
