"""From a member's call to a mail to her, and from the link in it to no more of them."""

import contextlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2

from admin.api_keys import create_api_key
from cohort_evaluator.store import save_template
from local.cohort_tour import NAME, USER, Tour
from local.stack import Stack
from mailer.unsubscribing import Subscription, make_token, read_keys
from tests.stack.client import await_events, await_true, call, make_event, post, select
from tests.stack.test_notifying import put

ADDRESS = "umbrella@example.com"
TEMPLATE = {
    "subject": "Hi {{ user.traits.metadata.name }}",
    "html": "<p>{{ user.traits.metadata.name }}</p><a href='{{ unsubscribe_url }}'>no more</a>",
    "text": "{{ unsubscribe_url }}",
    "topic": "onboarding",
}
STATES = "SELECT DISTINCT state FROM deliveries ORDER BY 1"


def identify(stack: Stack) -> int:
    """The user says who she is, and is known to be so from before her calls on."""
    keys = stack.client("dynamodb"), stack.name("ApiKeysTable")
    key = create_api_key(*keys, name="site", scopes=["events:write"])
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    body = {"userId": USER, "traits": {"email": ADDRESS, "name": "Umbrellä"}, "messageId": "i1", "timestamp": at}
    headers = {"Authorization": key, "Content-Type": "application/json"}
    return call(stack, "POST", "/v1/identify", headers=headers, body=json.dumps(body).encode())[0]


def is_suppressed(stack: Stack, address: str, topic: str) -> bool:
    """Whether the mailer's list has an entry."""
    key = {"address": {"S": address}, "topic": {"S": topic}}
    return "Item" in stack.client("dynamodb").get_item(TableName=stack.name("SuppressionsTable"), Key=key)


def test_member_is_mailed_until_she_unsubscribes(tmp_path: Path) -> None:
    """Looking at the link changes nothing, a POST ends these mails, and what other providers tell counts, too."""
    sender = {
        "SenderAddress": "mailwake@example.com",
        "SenderIdentity": "mailwake@example.com",
        "SenderName": "Mailwäke",
    }
    with Stack(directory=tmp_path, parameters=sender) as stack:
        stack.client("sesv2").create_email_identity(EmailIdentity="mailwake@example.com")
        with contextlib.closing(psycopg2.connect(stack.database_dsn())) as connection:
            save_template(connection, "hello", TEMPLATE, datetime.now(UTC), "test")
        tour = Tour(stack, 60)
        assert tour.save_cohort() == 201
        mail: dict[str, Any] = {"name": "hello", "cohort": NAME, "on": ["entered"]}
        mail["channel"] = {"mail": {"template": "hello", "repeat": {"every": "1 second"}}}
        assert put(stack, "/api/v1/notifications/hello", mail) == 200
        stack.run_schedule("CohortEvaluator")
        assert identify(stack) == 200
        tour.call(400, datetime.now(UTC))

        def has_state(state: str) -> bool:
            stack.run_schedule("CohortEvaluator")
            time.sleep(0.5)
            return bool(select(stack, "SELECT 1 FROM deliveries WHERE channel = 'mail' AND state = %s", state))

        await_true(lambda: has_state("sent"), "the first mail", patience=90)
        ((recipient, template, version, name),) = select(
            stack,
            "SELECT DISTINCT recipient, template, template_version, user_name FROM deliveries WHERE channel = 'mail'",
        )
        assert (recipient, template, version, name) == (ADDRESS, "hello", 1, USER)

        secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.name("UnsubscribeSecret"))
        token = make_token(Subscription(ADDRESS, "onboarding", "mail-1-1"), read_keys(secret["SecretString"]))
        status, headers, page = call(stack, "GET", f"/unsubscribe/{token}")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert b"onboarding" in page
        assert not is_suppressed(stack, ADDRESS, "onboarding")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert call(stack, "POST", f"/unsubscribe/{token}", headers=form, body=b"List-Unsubscribe=One-Click")[0] == 200
        assert is_suppressed(stack, ADDRESS, "onboarding")
        await_true(lambda: has_state("suppressed"), "a mail that is not sent", patience=90)
        kept = "SELECT topic, reason, source FROM suppressions WHERE address = %s"
        assert select(stack, kept, ADDRESS) == [("onboarding", "unsubscribed", "unsubscribe")]

        bounce = make_event("gone@example.com", kind="bounce", bounce_class="10")
        assert post(stack, [bounce]) == 200
        await_events(stack, "gone@example.com", 1)
        stack.run_schedule("CohortEvaluator")
        await_true(
            lambda: is_suppressed(stack, "gone@example.com", "*"), "the bounce in the mailer's list", patience=60
        )
