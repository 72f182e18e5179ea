"""Mails by which colleagues look at a template: with somebody's data, and never to her."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as modern
from typing import Any

from mailer.deliveries import report
from mailer.members import MemberMails
from mailer.outcomes import SENT, Outcome
from mailer.sending import find_recipient
from mailer.unsubscribing import read_token

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = b"a key"
BODY: dict[str, Any] = {
    "id": "test-t-1-2",
    "kind": "test",
    "to": "Rep@example.com",
    "notification": {"name": "test-t", "cohort": "one", "cohort_title": "One", "channel": {"mail": {"template": "t"}}},
    "user": {"id": "u1", "address": "ada@example.com", "traits": {"name": "Ada\r\nBcc: all@example.com"}},
    "template": {"name": "t", "version": 1, "html": "<p>x", "text": "{{ user.address }}", "topic": "news"}
    | {"subject": "Hi {{ user.traits.name }}"},
}


class World:
    """SES and the list of whom not to mail."""

    def __init__(self, suppressed: Mapping[str, str]) -> None:
        self.suppressed = suppressed
        self.sent: list[dict[str, Any]] = []
        self.mails = MemberMails(
            ses=self,
            suppressions=self,  # type: ignore[arg-type]  # as far as they are used
            keys=self,  # type: ignore[arg-type]
            unsubscribe_url="https://api.example.com/unsubscribe",
            sender="team@example.com",
            sender_name="",
            configuration_set="",
        )

    def find(self) -> list[bytes]:
        """The keys."""
        return [KEY]

    def find_reason(self, address: str, _topic: str) -> str:
        """Why an address is on the list."""
        return self.suppressed.get(address, "")

    def send_email(self, **given: Any) -> dict[str, str]:
        """SES."""
        self.sent.append(given)
        return {"MessageId": "m1"}


def test_colleague_gets_a_marked_mail_with_her_data() -> None:
    """To nobody else, whatever the data says; the link to unsubscribe is the colleague's own."""
    world = World({"ada@example.com": "complained"})
    assert world.mails.send(BODY, {}, NOW).state == SENT
    (given,) = world.sent
    message = message_from_bytes(given["Content"]["Raw"]["Data"], policy=modern)
    assert given["Destination"] == {"ToAddresses": ["Rep@example.com"]}
    assert (message["To"], message["Bcc"]) == ("Rep@example.com", None)
    assert message["Subject"] == "[Test] Hi Ada Bcc: all@example.com"
    assert message.get_body(("plain",)).get_content().strip() == "ada@example.com"  # type: ignore[union-attr]
    token = message["List-Unsubscribe"].strip("<>").rpartition("/")[2]
    assert read_token(token, [KEY]) == ("rep@example.com", "news", "test-t-1-2")


def test_suppressed_colleague_gets_none() -> None:
    """Whoever it is."""
    world = World({"rep@example.com": "unsubscribed"})
    assert world.mails.send(BODY, {}, NOW).state == "suppressed"
    assert world.sent == []


def test_test_counts_for_no_template() -> None:
    """It is reported as a delivery to the colleague, but what a template did is told without it."""
    kept: list[bytes] = []

    class Kept:
        def put_new(self, _key: str, body: bytes, *_: Any) -> None:
            kept.append(body)

    assert find_recipient(BODY) == "Rep@example.com"
    report(Kept(), BODY, 1, find_recipient(BODY), Outcome(SENT), NOW)  # type: ignore[arg-type]
    told = json.loads(kept[0])
    assert (told["recipient"], told["template"], told["template_version"]) == ("Rep@example.com", None, None)
    assert told["notification"] == "test-t"
