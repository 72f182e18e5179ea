"""The inbox: what it shows, what it tells of, and what hostile mails can't do."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from time import monotonic, sleep
from typing import Any

import pytest

from common.events import Event
from local import sns
from local.inbox import LOOK_AGAIN_S, Inbox
from local.ses import Mail, tell_sending
from local.web import Request, Response, WebServer
from providers import Delivery, WebhookRequest, amazon_ses
from tests.unit.local.asking import ask

TOPIC = "arn:aws:sns:us-east-1:123456789012:mails"
ORIGIN = "https://local.execute-api.us-east-1.amazonaws.com"
LINK = "https://docs.example.com/errors?code=400&lang=de"


def make_kept(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A mail as the cloud server keeps it."""
    message = EmailMessage()
    message["From"] = "Mailwäke <team@example.com>"
    message["To"] = changes.get("to", "ada@example.com")
    message["Subject"] = changes.get("subject", "Hälp <b>is</b> near")
    message["List-Unsubscribe"] = changes.get("unsubscribe", f"<{ORIGIN}/unsubscribe/token.mac>")
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(changes.get("text", "Hello <script>alert(1)</script>"))
    message.add_alternative(changes.get("html", f'<p>Hello</p><a href="{LINK}">there</a>'), subtype="html")
    request = {
        "Destination": {"ToAddresses": [changes.get("to", "ada@example.com")]},
        "Content": {"Raw": {"Data": base64.b64encode(changes.get("raw", message.as_bytes())).decode()}},
        "EmailTags": [
            {"Name": "mailwake-id", "Value": f"mail-1-{number}"},
            {"Name": "mailwake-notification", "Value": "help"},
        ],
        "ConfigurationSetName": changes.get("configuration_set", "mails"),
    }
    return {"id": f"m-{number}", "at": 1_795_000_000.5, "request": request}


class World:
    """A cloud that has sent mails, and a gateway that keeps what is posted to it."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.posted: list[Request] = []
        self.cloud = WebServer(self._list)
        self.gateway = WebServer(self._take)
        self.cloud.start("cloud")
        self.gateway.start("gateway")
        self.inbox = Inbox(
            cloud_port=self.cloud.port, port=self.gateway.port, topic=TOPIC, origin=ORIGIN, say=self.said
        )

    def said(self, message: str) -> None:
        """Nothing is to be said."""
        raise AssertionError(message)

    def _list(self, request: Request) -> Response:
        after = int(request.target.rpartition("=")[2])
        return Response(body=json.dumps(self.kept[after:]).encode())

    def _take(self, request: Request) -> Response:
        self.posted.append(request)
        return Response()

    def send(self, **changes: Any) -> str:
        """A mail is sent; its address in the inbox."""
        kept = make_kept(len(self.kept) + 1, **changes)
        self.kept.append(kept)
        self.inbox.take_new()
        return f"/local/mail/{kept['id']}"

    def events(self) -> list[Event]:
        """What the listener would take, each checked as it checks SNS."""
        found: list[Event] = []
        for request in self.posted:
            assert request.target == "/webhooks/amazon_ses"
            headers = {name.lower(): value for name, value in request.headers.items()}
            webhook = WebhookRequest("amazon_ses", "POST", headers, request.body)
            amazon_ses.verify(webhook, [TOPIC, sns.make_certificate()], datetime.now(UTC))
            found += [
                one for one in amazon_ses.parse(request.body, Delivery(datetime.now(UTC))) if isinstance(one, Event)
            ]
        return found

    def get(self, path: str, **headers: str) -> Response:
        """A page."""
        return self.inbox.answer(ask("GET", path, headers))


@pytest.fixture
def world() -> Iterator[World]:
    """A cloud and an inbox."""
    world = World()
    yield world
    world.cloud.stop()
    world.gateway.stop()


def header(response: Response, name: str) -> str:
    """A header of an answer."""
    return next(value for key, value in response.headers if key == name)


def test_sending_is_told_as_ses_tells_it(world: World) -> None:
    """A send and a delivery, signed, with the mail's tags; the newest mail is first in the list."""
    world.send()
    world.send(subject="Second")
    events = world.events()
    assert [event.kind.event_type for event in events] == ["injected", "delivered"] * 2
    assert {event.recipient for event in events} == {"ada@example.com"}
    assert json.loads(events[0].metadata or b"") == {"mailwake-id": "mail-1-1", "mailwake-notification": "help"}
    assert events[0].message_id == "m-1"
    page = world.get("/local/mail").body.decode()
    assert page.index("Second") < page.index("Hälp")


def test_looking_is_an_open(world: World) -> None:
    """With the browser's name; the raw mail, the frame and a HEAD are none."""
    place = world.send()
    world.posted.clear()
    for path in (place + "/raw", place + "/html", "/local/mail", "/local/mail/style.css"):
        assert world.get(path).status == 200
    assert world.inbox.answer(ask("HEAD", place)).status == 200
    assert world.posted == []
    assert world.get(place, **{"User-Agent": "Browser/1"}).status == 200
    (event,) = world.events()
    assert event.client is not None
    assert (event.kind.event_type, event.client.user_agent) == ("opened", "Browser/1")


def test_click_is_told_and_leads_on(world: World) -> None:
    """The frame's links lead through the inbox; each leads where it did, and no other address is led to."""
    place = world.send()
    world.posted.clear()
    frame = world.get(place + "/html").body.decode()
    assert f'href="{place}/click/0"' in frame
    assert LINK not in frame
    answer = world.get(f"{place}/click/0")
    assert (answer.status, header(answer, "Location")) == (303, LINK)
    (event,) = world.events()
    assert (event.kind.event_type, event.url) == ("clicked", LINK)
    assert world.get(f"{place}/click/1").status == 404
    assert len(world.posted) == 1


def test_links_to_the_deployment_lead_to_the_stack(world: World) -> None:
    """Its own pages are here, not on AWS."""
    place = world.send(html=f'<a href="{ORIGIN}/unsubscribe/t">x</a><a href="{ORIGIN}.evil.example/">y</a>')
    here = f"http://127.0.0.1:{world.gateway.port}/unsubscribe/t"
    assert header(world.get(f"{place}/click/0"), "Location") == here
    assert header(world.get(f"{place}/click/1"), "Location") == f"{ORIGIN}.evil.example/"


def test_unsubscribing_by_one_click(world: World) -> None:
    """As a mail program posts it, to the stack alone; not for another site's page, and not by a GET."""
    place = world.send()
    world.posted.clear()
    form = {"Host": "127.0.0.1:1", "Origin": "https://evil.example"}
    assert world.inbox.answer(ask("POST", place + "/unsubscribe", form)).status == 403
    assert world.get(place + "/unsubscribe").status == 405
    assert world.posted == []
    answer = world.inbox.answer(ask("POST", place + "/unsubscribe", {"Origin": "http://127.0.0.1:1"}))
    assert b"Unsubscribed." in answer.body
    (request,) = world.posted
    assert (request.method, request.target, request.body) == (
        "POST",
        "/unsubscribe/token.mac",
        b"List-Unsubscribe=One-Click",
    )
    elsewhere = world.send(unsubscribe="<https://evil.example/u>")
    world.posted.clear()
    answer = world.inbox.answer(ask("POST", elsewhere + "/unsubscribe"))
    assert b"leads elsewhere" in answer.body
    assert world.posted == []


@pytest.mark.parametrize(
    "html",
    [
        '<script>alert(1)</script><img src=x onerror="alert(1)">',
        '<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/">',
        '<a href="javascript:alert(1)">x</a><a href="data:text/html,<script>">y</a><a href=" JaVaScript:1">z</a>',
        '<form action="https://evil.example"><input></form><iframe src="https://evil.example"></iframe>',
        "<a href='https://[::1'>x</a><a href='https://x\r\nSet-Cookie: a'>y</a>",
        "<" * 10_000,
        "<a href='https://ünï.example/ä?ß=\u202e'>x</a>",
    ],
)
def test_hostile_html_stays_in_its_sandbox(world: World, html: str) -> None:
    """It has no scripts, no forms, no origin and loads nothing; what would lead elsewhere by itself is left out."""
    place = world.send(html=html)
    page, frame = world.get(place), world.get(place + "/html")
    assert page.status == frame.status == 200
    policy = header(frame, "Content-Security-Policy")
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy + page.body.decode()
    assert b"allow-same-origin" not in page.body
    shown = frame.body.decode().lower()
    for word in ("<script", "<base", "<meta", "javascript:", "data:text"):
        assert word not in shown
    for number in range(3):
        answer = world.get(f"{place}/click/{number}")
        if answer.status == 303:
            assert header(answer, "Location").isascii()
            assert not {"\r", "\n", " "} & set(header(answer, "Location"))


def test_what_a_mail_holds_is_text_on_the_pages(world: World) -> None:
    """Subject, text, sender and headers: none of it becomes HTML, nor a script of the page's."""
    place = world.send(subject='"><script>alert(1)</script>')
    for path in ("/local/mail", place):
        answer = world.get(path)
        assert b"<script" not in answer.body
        assert b"&lt;script&gt;" in answer.body
        assert "script-src" not in header(answer, "Content-Security-Policy")


@pytest.mark.parametrize(
    "raw", [b"", b"\r\n\r\n", b"Subject: =?x?q?\xff?=\r\nTo: <<<,;\r\nContent-Type: multipart/x\r\n\r\nx", b"\xff" * 99]
)
def test_malformed_mails_are_shown(world: World, raw: bytes) -> None:
    """As far as they can be read."""
    place = world.send(raw=raw)
    for path in ("/local/mail", place, place + "/html", place + "/raw"):
        assert world.get(path).status == 200
    assert world.get(place + "/raw").body == raw


def test_only_this_machine_reads_it(world: World) -> None:
    """A page elsewhere whose name leads here gets nothing."""
    place = world.send()
    for host in ("evil.example:8600", "127.0.0.1.evil.example:8600", ""):
        assert world.get(place, Host=host).status == 403
    assert world.get(place, Host="localhost:8600").status == 200
    assert world.get("/local/mail/m-9").status == 404
    assert world.get("/local/mail/../x").status == 404


def test_without_a_configuration_set_nothing_is_told(world: World) -> None:
    """As SES does; the mail is in the inbox all the same."""
    place = world.send(configuration_set="")
    assert world.get(place).status == 200
    assert world.posted == []


@pytest.mark.parametrize(
    ("recipient", "words"),
    [
        ("bounce@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint+x@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
        ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
        ("bounce@example.com", ["Send", "Delivery"]),
    ],
)
def test_mailbox_simulator(recipient: str, words: list[str]) -> None:
    """SES's addresses to try bounces and complaints with do the same here."""
    mail = Mail(id="m", at=datetime.now(UTC), recipients=[recipient], raw=b"", tags={}, configuration_set="s")
    assert [word for word, _ in tell_sending(mail)] == words


def wait_for(condition: Callable[[], bool]) -> None:
    """Fails where it does not come true within seconds."""
    ends_at = monotonic() + 5
    while not condition():
        assert monotonic() < ends_at
        sleep(0.01)


def test_what_can_not_be_read_ends_nothing(world: World) -> None:
    """Neither an answer of the cloud nor a mail: each is said, once, and the mails behind it are taken."""
    said: list[str] = []
    answers = [Response(body=b"<html>")]
    mails = [make_kept(1), {"id": "m-2"}, make_kept(3)]

    def answer(request: Request) -> Response:
        after = int(request.target.rpartition("=")[2])
        return answers[-1] if answers else Response(body=json.dumps(mails[after:]).encode())

    cloud = WebServer(answer)
    cloud.start("cloud")
    inbox = Inbox(cloud_port=cloud.port, port=world.gateway.port, topic=TOPIC, origin=ORIGIN, say=said.append)
    inbox.start()
    try:
        wait_for(lambda: len(said) == 1)
        sleep(2 * LOOK_AGAIN_S)
        answers.append(Response(status=500, body=b'{"message": "broken"}'))
        wait_for(lambda: len(said) == 2)
        answers.append(Response(body=b"7"))
        wait_for(lambda: len(said) == 3)
        answers.clear()
        wait_for(lambda: len(inbox.mails) == 2)
        sleep(2 * LOOK_AGAIN_S)
    finally:
        inbox.stop()
        cloud.stop()
    assert [mail.id for mail in inbox.mails] == ["m-3", "m-1"]
    assert said == [
        "the inbox can't read which mails were sent: JSONDecodeError",
        "the inbox can't read which mails were sent: they were answered 500",
        "the inbox can't read which mails were sent: it is no list",
        "the inbox can't take a mail: KeyError",
    ]
