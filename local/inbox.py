"""The inbox of the local stack, `/local/mail`: every mail that it sent, and what SES would tell of it.

A mail is told as sent and delivered; looking at it here is an open, following one of its links a click. Each is
published as SES and SNS would (local/ses.py, local/sns.py), to the stack's own webhook endpoint.
"""

import contextlib
import http.client
import json
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from common.clock import format_instant
from local import sns
from local.mail_links import encode_link, rewrite
from local.mail_pages import (
    INBOX,
    redirect,
    show_html,
    show_list,
    show_mail,
    show_problem,
    show_raw,
    show_style,
)
from local.ses import Json, Mail, read_mail, tell_sending, write_event
from local.web import Request, Response

LOOK_AGAIN_S = 0.25
AGAIN_S = (0.2, 1.0, 5.0)  # pauses between attempts to post an event
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HERE = ("127.0.0.1", "localhost", "[::1]")
_PATH = re.compile(rf"{INBOX}/(?P<id>[A-Za-z0-9-]+)(?:/(?P<what>html|raw|unsubscribe|click/(?P<number>\d{{1,4}})))?")
_ANGLES = re.compile(r"<(https?://[^<>\s]+)>")

Post = Callable[[str, dict[str, str], bytes], int]  # path, headers, body → status


class AnswerError(Exception):
    """What the cloud answered is no list of mails."""


class Inbox:
    """Mails by SES's id.

    `cloud_port` is the moto server's, `topic` the topic that tells of mails (empty: nobody is told), `origin` what the
    deployment's own links begin with, `port` and `url` the gateway's.
    """

    def __init__(self, *, cloud_port: int, port: int, topic: str, origin: str, say: Callable[[str], None]) -> None:
        self._cloud_port = cloud_port
        self._port = port
        self._topic = topic
        self._origin = origin
        self._say = say
        self._mails: dict[str, Mail] = {}
        self._taken = 0  # also those that could not be read
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, name="inbox", daemon=True)

    @property
    def mails(self) -> list[Mail]:
        """The newest first."""
        return list(self._mails.values())[::-1]

    def start(self) -> None:
        """Takes mails as they are sent, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Takes no more."""
        self._stopping.set()
        self._thread.join(2)

    def _look(self) -> None:
        said = ""
        while not self._stopping.wait(LOOK_AGAIN_S):
            problem = ""
            try:
                self.take_new()
            except (OSError, http.client.HTTPException):  # the cloud may be gone already
                continue
            except AnswerError as failure:
                problem = f"the inbox can't read which mails were sent: {failure}"
            if problem and problem != said:
                self._say(problem)
            said = problem

    def take_new(self) -> None:
        """Takes what is new, and tells of it. Raises `OSError`, `HTTPException` or `AnswerError`."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._cloud_port, timeout=10)) as connection:
            connection.request("GET", f"/_mails?after={self._taken}")
            response = connection.getresponse()
            body = response.read()
        if response.status != HTTPStatus.OK:
            raise AnswerError(f"they were answered {response.status}")
        try:
            kept = json.loads(body)
        except ValueError as failure:
            raise AnswerError(type(failure).__name__) from None
        if type(kept) is not list:
            raise AnswerError("it is no list")
        for one in kept:
            self._taken += 1
            try:
                self._take(read_mail(one))
            except Exception as failure:  # noqa: BLE001 (whatever is wrong with it, those behind it are taken)
                self._say(f"the inbox can't take a mail: {type(failure).__name__}")

    def _take(self, mail: Mail) -> None:
        self._mails[mail.id] = mail
        for word, part in tell_sending(mail):
            self._tell(mail, word, part)

    def answer(self, request: Request) -> Response:
        """What a browser asks for below `/local/mail`."""
        path = request.target.partition("?")[0]
        if request.headers.get("Host", "").rpartition(":")[0] not in HERE or not is_same_site(request):
            return show_problem(403, "The inbox is for this machine alone")
        if path in (INBOX, f"{INBOX}/"):
            return show_list(self.mails)
        if path == f"{INBOX}/style.css":
            return show_style()
        found = _PATH.fullmatch(path)
        mail = self._mails.get(found["id"]) if found else None
        if found is None or mail is None:
            return show_problem(404, "There is no such mail")
        what = found["what"] or ""
        if (request.method == "POST") != (what == "unsubscribe") or request.method not in ("GET", "HEAD", "POST"):
            return show_problem(405, "This can't be done")
        if what == "unsubscribe":
            return show_mail(mail, self._unsubscribe(mail))
        if found["number"] is not None:
            return self._click(mail, int(found["number"]), request)
        if what:
            return show_html(mail) if what == "html" else show_raw(mail)
        if request.method == "GET":
            self._tell(mail, "Open", _describe(request))
        return show_mail(mail)

    def _click(self, mail: Mail, number: int, request: Request) -> Response:
        links = rewrite(mail.part("html"), str)[1]
        if number >= len(links):
            return show_problem(404, "The mail has no such link")
        if request.method == "GET":
            self._tell(mail, "Click", {**_describe(request), "link": links[number], "linkTags": None})
        return redirect(encode_link(self._bring_here(links[number])))

    def _bring_here(self, link: str) -> str:
        """A link to the deployment as one to this stack."""
        here = f"http://127.0.0.1:{self._port}"
        return here + link.removeprefix(self._origin) if link.startswith(f"{self._origin}/") else link

    def _unsubscribe(self, mail: Mail) -> str:
        """Posts what a mail program would, to this stack alone; what came of it, in words."""
        links = _ANGLES.findall(mail.header("list-unsubscribe"))
        if mail.header("list-unsubscribe-post") != ONE_CLICK.decode() or not links:
            return "The mail can't be unsubscribed from by one click."
        if not links[0].startswith(f"{self._origin}/"):
            return "Its link to unsubscribe leads elsewhere: it was not followed."
        status = self._post(urlsplit(links[0]).path, FORM, ONE_CLICK)
        return "Unsubscribed." if status == 200 else f"The link to unsubscribe was answered {status}."

    def _tell(self, mail: Mail, word: str, part: Json) -> None:
        """Publishes an event, where the mail was sent with a configuration set."""
        mail.told.append(word)
        if not self._topic or not mail.configuration_set:
            return
        posted = sns.post(self._topic, write_event(mail, word, part), datetime.now(UTC))
        status = 0
        for pause in (*AGAIN_S, 0):
            status = self._post("/webhooks/amazon_ses", posted.headers, posted.body)
            if status == 200 or self._stopping.wait(pause):
                return
        self._say(f"SES's event {word} was answered {status or 'nothing'}")

    def _post(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """Posts to the gateway; the status, 0 where there is none."""
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
                connection.request("POST", path, body=body, headers=headers)
                response = connection.getresponse()
                response.read()
                return response.status
        except (OSError, http.client.HTTPException):
            return 0


def is_same_site(request: Request) -> bool:
    """Whether no other site's page has asked for a change."""
    if request.method in ("GET", "HEAD"):
        return True
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host")


def _describe(request: Request) -> Json:
    return {
        "ipAddress": request.client,
        "timestamp": format_instant(datetime.now(UTC)),
        "userAgent": request.headers.get("User-Agent", ""),
    }
