"""From the files of templates to a colleague's test mail with a user's data."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from admin.__main__ import main
from admin.api_keys import create_api_key
from local.cli import SENDING
from local.cohort_tour import USER, Tour
from local.stack import Stack
from tests.stack.client import await_true, call, select
from tests.stack.test_member_mails import ADDRESS, identify

ROOT = Path(__file__).parents[2]
NAME = "first-call-failed"


def test_template_is_applied_previewed_and_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the preview shows is what the colleague gets; the user herself gets nothing."""
    with Stack(directory=tmp_path, parameters=SENDING) as stack:
        keys = stack.client("dynamodb"), stack.name("ApiKeysTable")
        key = create_api_key(*keys, name="marketing", scopes=["events:read", "pii:read", "cohorts:write"])
        where = ["--url", f"{stack.url}/api/v1", "--key", key]
        for command in (["apply-cohorts", str(ROOT / "cohorts")], ["apply-templates", str(ROOT / "email_templates")]):
            assert main([*command, *where]) == 0
        assert main(["apply-templates", str(ROOT / "email_templates"), "--dry-run", *where]) == 0
        shown = capsys.readouterr().out.splitlines()
        assert f"created    {NAME}, version 1" in shown
        assert f"unchanged  {NAME}, version 1" in shown
        stack.run_schedule("CohortEvaluator")

        headers = {"Authorization": key, "Content-Type": "application/json"}

        def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
            status, _, answer = call(
                stack,
                method,
                f"/api/v1{path}",
                headers=headers,
                body=b"" if body is None else json.dumps(body).encode(),
            )
            return status, json.loads(answer)["results"]

        assert identify(stack) == 200
        Tour(stack, 60).call(400, datetime.now(UTC))

        def has_entered() -> bool:
            stack.run_schedule("CohortEvaluator")
            return bool(select(stack, "SELECT 1 FROM transitions JOIN cohorts USING (cohort_id) WHERE name = %s", NAME))

        await_true(has_entered, "the entry into the cohort", patience=60)
        status, listed = ask("GET", "/templates")
        assert (status, [one["name"] for one in listed]) == (200, [NAME, "quiet-30-days", "trial-ending"])
        assert ask("GET", f"/templates/{NAME}?version=1")[1]["aggregates"].keys() >= {"route"}
        status, mail = ask("POST", f"/templates/{NAME}/preview", {"user": ADDRESS})
        assert (status, mail["user"], mail["subject"]) == (200, USER, "Your first API call met a 400: /v1/orders")
        assert mail["text"].startswith("Hi Umbrellä,\n")

        status, test = ask("POST", f"/templates/{NAME}/test", {"user": USER, "to": ["rep@example.com"]})
        assert (status, test["subject"]) == (202, mail["subject"])

        def has_come() -> bool:
            stack.run_schedule("CohortEvaluator")
            return bool(stack.inbox.mails)

        await_true(has_come, "the test in the inbox", patience=60)
        (sent,) = stack.inbox.mails
        assert (sent.recipients, sent.header("subject")) == (["rep@example.com"], f"[Test] {mail['subject']}")
        assert sent.part("plain").startswith("Hi Umbrellä,")
        await_true(lambda: bool(select(stack, "SELECT 1 FROM deliveries")), "the delivery's report")
        rows = select(stack, "SELECT state, recipient, notification, template FROM deliveries")
        assert rows == [("sent", "rep@example.com", f"test-{NAME}", None)]
