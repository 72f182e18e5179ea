"""The inbox of the local stack: what SES would tell of a mail comes back by our own webhook endpoint."""

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from local.cli import SENDING
from local.stack import Stack
from mailer.mime import Envelope, build_mail
from mailer.templates import Rendered
from mailer.unsubscribing import Subscription, make_token, read_keys
from tests.stack.client import await_true, call, make_recipient, select

LINK = "https://docs.example.com/errors/400"
EVENTS = """
SELECT kinds.event_type, url, metadata ->> 'mailwake-id'
FROM events JOIN kinds USING (kind_key) WHERE recipient = %s
"""


@pytest.fixture(scope="module")
def sending(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with a sender, as `make run` starts it."""
    with Stack(directory=tmp_path_factory.mktemp("inbox"), parameters=SENDING) as running:
        yield running


def send(stack: Stack, to: str, **changes: str) -> str:
    """A mail leaves through SES; its address in the inbox."""
    secret = stack.client("secretsmanager").get_secret_value(SecretId=stack.name("UnsubscribeSecret"))
    token = make_token(Subscription(to, "news", "mail-1-1"), read_keys(secret["SecretString"]))
    url = f"{stack.pools['Mailer'].function.environment['UNSUBSCRIBE_URL']}/{token}"
    html = f'<p>Hi</p><a href="{LINK}">mend it</a><a href="{url}">no more</a>'
    envelope = Envelope("mail-1-1", SENDING["SenderAddress"], "", to, "", url, datetime.now(UTC))
    raw = build_mail(Rendered("Hällo", changes.get("html", html), "Hi"), envelope)
    answer = stack.client("sesv2").send_email(
        Destination={"ToAddresses": [to]},
        Content={"Raw": {"Data": raw}},
        ConfigurationSetName=stack.name("MailEvents"),
        EmailTags=[{"Name": "mailwake-id", "Value": "mail-1-1"}],
    )
    place = f"/local/mail/{answer['MessageId']}"
    await_true(lambda: call(stack, "HEAD", place)[0] == 200, "the mail in the inbox", patience=10)
    return place


def await_types(stack: Stack, recipient: str, types: set[str]) -> list[tuple[Any, ...]]:
    """The recipient's events, once they are of these types."""

    def are_there() -> bool:
        return {row[0] for row in select(stack, EVENTS, recipient)} == types

    await_true(are_there, f"{types}", patience=30)
    return select(stack, EVENTS, recipient)


def test_open_and_click_come_back_as_events(sending: Stack) -> None:
    """With the mail's tags, checked and loaded as SNS's; the click leads on."""
    recipient = make_recipient()
    place = send(sending, recipient)
    await_types(sending, recipient, {"injected", "delivered"})
    status, headers, page = call(sending, "GET", place)
    assert status == 200
    assert "script-src" not in headers["content-security-policy"]
    assert "Hällo" in page.decode()
    await_types(sending, recipient, {"injected", "delivered", "opened"})
    frame = call(sending, "GET", f"{place}/html")[2].decode()
    (link, *_) = re.findall(rf'href="({place}/click/\d)"', frame)
    status, headers, _ = call(sending, "GET", link)
    assert (status, headers["location"]) == (303, LINK)
    rows = await_types(sending, recipient, {"injected", "delivered", "opened", "clicked"})
    assert {row[1] for row in rows if row[0] == "clicked"} == {LINK}
    assert {row[2] for row in rows} == {"mail-1-1"}


def test_link_to_unsubscribe_leads_to_the_stack(sending: Stack) -> None:
    """The page asks; the inbox's button does as mail programs do, and she is on the list."""
    recipient = make_recipient()
    place = send(sending, recipient)
    location = call(sending, "GET", f"{place}/click/1")[1]["location"]
    assert location.startswith(f"{sending.url}/unsubscribe/")
    assert call(sending, "GET", location.removeprefix(sending.url))[0] == 200
    key = {"address": {"S": recipient}, "topic": {"S": "news"}}
    table = sending.name("SuppressionsTable")
    assert "Item" not in sending.client("dynamodb").get_item(TableName=table, Key=key)
    status, _, page = call(sending, "POST", f"{place}/unsubscribe")
    assert (status, b"Unsubscribed." in page) == (200, True)
    assert "Item" in sending.client("dynamodb").get_item(TableName=table, Key=key)


def test_bounces_of_the_simulator_are_suppressed(sending: Stack) -> None:
    """A hard bounce that SES tells of puts the address on the list of whom not to mail."""
    recipient = f"bounce+{int(time.time())}@simulator.amazonses.com"
    send(sending, recipient)
    await_types(sending, recipient, {"injected", "bounced"})
    found = "SELECT reason, source FROM suppressions WHERE address = %s"
    await_true(lambda: select(sending, found, recipient) == [("bounced", "amazon_ses")], "the suppression", patience=10)


def test_forged_event_is_refused(sending: Stack) -> None:
    """What SNS did not sign does not come in."""
    assert call(sending, "POST", "/webhooks/amazon_ses", body=b'{"Type": "Notification"}')[0] == 401
