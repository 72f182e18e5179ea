"""What the mailer reports is kept."""

import json
from datetime import timedelta
from typing import Any

import pytest

from query_events.deliveries import AWAITED, ROUTES
from s3_loader.batches import Batch
from s3_loader.deliveries import load_delivery
from s3_loader.loading import Loader, Outcome
from tests.integration.batches import LIMITS
from tests.integration.conftest import NOW, Connect
from tests.integration.requests import make_request
from tests.integration.test_loading import select

(DELIVERIES,) = ROUTES

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


@pytest.mark.parametrize("final", ["sent", "failed", "suppressed", "held_out"])
def test_what_is_known_is_not_made_unknown(connect: Connect, final: str) -> None:
    """The mailer may die behind its report: the attempt then seems broken off, and is reported so; in any order."""
    loader = connect("mailwake_loader")
    late = "2026-11-21T12:25:00.000Z"
    load_delivery(loader, make_report("a", state=final), replay=False)
    load_delivery(loader, make_report("b", state="unknown", at=late), replay=False)
    load_delivery(loader, make_report("c", id="ntf-9", state="unknown", at=late), replay=False)
    load_delivery(loader, make_report("d", id="ntf-9", state=final), replay=False)
    assert select(loader, "SELECT id, state FROM deliveries ORDER BY id") == [("ntf-1-2-3", final), ("ntf-9", final)]
    load_delivery(loader, make_report("e", id="ntf-8", state="retrying"), replay=False)
    load_delivery(loader, make_report("f", id="ntf-8", state="unknown", at=late), replay=False)
    assert select(loader, "SELECT state FROM deliveries WHERE id = 'ntf-8'") == [("unknown",)]
    # One that was postponed is done again under its number, at once maybe.
    load_delivery(loader, make_report("g", id="ntf-7", state="retrying"), replay=False)
    load_delivery(loader, make_report("h", id="ntf-7", state=final), replay=False)
    assert select(loader, "SELECT state FROM deliveries WHERE id = 'ntf-7'") == [(final,)]


def load_event(connect: Connect, *, name: str = "mail-1-2", to: str = "ada@example.com", minutes: int = 0) -> None:
    """SES tells that a mail went."""
    at = f"2026-11-21T12:{minutes:02}:01.000Z"
    mail = {"messageId": "ses-1", "timestamp": at, "destination": [to], "tags": {"mailwake-id": [name]}}
    message = json.dumps({"eventType": "Send", "send": {}, "mail": mail})
    envelope = {
        "Type": "Notification",
        "MessageId": f"sns-{name}",
        "TopicArn": "arn:a",
        "Timestamp": at,
        "Message": message,
    }
    body = json.dumps(envelope).encode()
    batch = Batch(f"raw/amazon_ses/{name}", "amazon_ses", None, None, NOW + timedelta(hours=1), body)
    assert Loader().load(connect("mailwake_loader"), batch, LIMITS, replay=True).quarantined == 0


UNKNOWN = {
    "id": "mail-1-2",
    "channel": "mail",
    "state": "unknown",
    "recipient": "Ada@example.com",
    "error": "no answer",
}


@pytest.mark.parametrize("first", ["the report", "the event"])
def test_event_of_ses_tells_that_an_unknown_mail_went(connect: Connect, first: str) -> None:
    """Whichever is loaded first: it is shown as sent, with the event and SES's id, and found by that state."""
    query = connect("mailwake_query")
    if first == "the event":
        load_event(connect)
    load_delivery(connect("mailwake_loader"), make_report("a", **UNKNOWN), replay=False)
    if first == "the report":
        load_event(connect)
    (one,) = make_request(query, DELIVERIES, {"state": "sent"})["results"]
    assert (one["state"], one["message_id"], one["awaited_until"]) == ("sent", "ses-1", None)
    assert one["error"] == "SES gave no answer; its event tells that the mail went"
    assert one["event_key"] is not None
    assert make_request(query, DELIVERIES, {"state": "unknown"})["results"] == []


def test_other_mails_and_other_events_answer_nothing(connect: Connect) -> None:
    """Of another mail to her, or of this one's id to somebody else; what was sent stays as it was reported."""
    query = connect("mailwake_query")
    load_delivery(connect("mailwake_loader"), make_report("a", **UNKNOWN), replay=False)
    load_delivery(
        connect("mailwake_loader"), make_report("b", **{**UNKNOWN, "id": "mail-7", "state": "sent"}), replay=False
    )
    load_event(connect, name="mail-1-3")
    load_event(connect, name="mail-7", minutes=5)
    load_event(connect, to="bob@example.com")
    shown = {one["id"]: one for one in make_request(query, DELIVERIES, {})["results"]}
    assert (shown["mail-1-2"]["state"], shown["mail-1-2"]["error"]) == ("unknown", "no answer")
    assert shown["mail-1-2"]["awaited_until"] == "2026-11-24T12:00:00.000Z"
    assert (shown["mail-7"]["event_key"], shown["mail-7"]["awaited_until"]) == (None, None)


def test_digest_to_several_is_answered_by_any_of_them(connect: Connect) -> None:
    """SES tells of each address by itself. What goes to Slack is awaited by nobody."""
    query = connect("mailwake_query")
    digest = {**UNKNOWN, "channel": "email", "recipient": "Bob@example.com, ada@example.com"}
    load_delivery(connect("mailwake_loader"), make_report("a", **digest), replay=False)
    slack = {**UNKNOWN, "id": "ntf-1", "channel": "slack", "recipient": "slack"}
    load_delivery(connect("mailwake_loader"), make_report("b", **slack), replay=False)
    load_event(connect)
    shown = {one["id"]: one for one in make_request(query, DELIVERIES, {})["results"]}
    assert shown["mail-1-2"]["state"] == "sent"
    assert (shown["ntf-1"]["state"], shown["ntf-1"]["awaited_until"]) == ("unknown", None)


def test_after_three_days_it_stays_unknown(connect: Connect) -> None:
    """As long as SES's events may come, and no longer; the view waits as long as the API says."""
    query = connect("mailwake_query")
    old = {**UNKNOWN, "at": (NOW - AWAITED).isoformat().replace("+00:00", "Z")}
    load_delivery(connect("mailwake_loader"), make_report("a", **old), replay=False)
    (one,) = make_request(query, DELIVERIES, {})["results"]
    assert (one["state"], one["awaited_until"]) == ("unknown", None)
    load_event(connect)
    assert make_request(query, DELIVERIES, {})["results"][0]["state"] == "unknown"
