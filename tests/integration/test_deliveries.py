"""What the mailer reports is kept."""

import json
from typing import Any

from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Outcome
from tests.integration.conftest import NOW, Connect
from tests.integration.test_loading import select

REPORT: dict[str, Any] = {
    **dict.fromkeys(("recipient", "error", "status", "message_id", "template", "template_version", "user")),
    "id": "ntf-1-2-3",
    "attempt": 1,
    "at": "2026-11-21T12:00:00.000Z",
    "notification": "team",
    "cohort": "one",
    "channel": "email",
    "state": "sent",
}


def make_report(key: str, **fields: Any) -> Batch:
    """A report as the mailer puts it."""
    return Batch(f"raw/mailwake/{key}", "mailwake", None, None, NOW, json.dumps({**REPORT, **fields}).encode())


def test_report_is_kept_once(connect: Connect) -> None:
    """However often it is told of; a later one of the same attempt replaces it."""
    loader = connect("mailwake_loader")
    assert load_delivery(loader, make_report("a"), replay=False).outcome is Outcome.LOADED
    assert load_delivery(loader, make_report("a"), replay=False).outcome is Outcome.ALREADY_LOADED
    assert load_delivery(loader, make_report("a"), replay=True).outcome is Outcome.LOADED
    load_delivery(loader, make_report("b", state="failed", at="2026-11-21T12:00:01.000Z"), replay=False)
    load_delivery(loader, make_report("c", state="sent", at="2026-11-21T11:00:01.000Z"), replay=False)
    assert select(loader, "SELECT id, attempt, state FROM deliveries") == [("ntf-1-2-3", 1, "failed")]


def test_what_is_no_report_is_set_aside(connect: Connect) -> None:
    """With its reason, as all that can't be read."""
    loader = connect("mailwake_loader")
    batch = make_report("a")._replace(body=b'{"id": 1}')
    assert load_delivery(loader, batch, replay=False).quarantined == 1
    assert select(loader, "SELECT reason FROM quarantine") == [("it is no report of the mailer",)]
