"""A mail to the member of a cohort, from the template to the click that moves her to another one."""

import base64
import json
import re
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from admin.api_keys import create_api_key
from admin.template_files import read_template
from local.cohort_tour import NAME, USER, Tour
from local.mail_pages import INBOX
from local.receiver import Receiver
from local.ses import Mail
from local.stack import Stack
from local.state import PROJECT

ADDRESS = "ada@umbrella.example"
CLICKED = "clicked-our-help"
HELP = "first-call-help"
WEBHOOK = "crm"
TEMPLATE = "first-call-failed"
FOLLOW_UP = {
    "name": CLICKED,
    "title": "Clicked the link in our help",
    "subject": "user",
    "members": {
        "did": {"event": "mail", "where": {"type": "clicked", "metadata.mailwake-notification": HELP}},
        "count": {">=": 1},
        "window": {"last": "24 hours"},
    },
}


class MailTour:
    """The steps, each answered by what happened then."""

    def __init__(self, stack: Stack, tour: Tour, receiver: Receiver, patience: float) -> None:
        self._stack = stack
        self._tour = tour
        self._receiver = receiver
        self._patience = patience
        self._secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()

    def prepare(self) -> list[int]:
        """Saves what is told to whom: the statuses."""
        secret_id = self._stack.name("NotificationSecret")
        self._stack.client("secretsmanager").put_secret_value(
            SecretId=secret_id, SecretString=json.dumps({WEBHOOK: self._secret})
        )
        webhook = {
            "name": WEBHOOK,
            "cohort": NAME,
            "on": ["entered"],
            "channel": {"webhook": {"url": self._receiver.url, "secret": WEBHOOK}},
            "period": "1 second",
            "fields": ["address", "metadata.name"],
        }
        mail = {
            "name": HELP,
            "cohort": NAME,
            "on": ["entered"],
            "channel": {"mail": {"template": TEMPLATE, "repeat": "once"}},
        }
        saved = {
            f"cohorts/{CLICKED}": FOLLOW_UP,
            f"templates/{TEMPLATE}": read_template(PROJECT / "email_templates" / TEMPLATE).template,
            f"notifications/{WEBHOOK}": webhook,
            f"notifications/{HELP}": mail,
        }
        statuses = [self._tour.save(path, definition) for path, definition in saved.items()]
        self._stack.run_schedule("CohortEvaluator")
        return statuses

    def identify(self) -> int:
        """The user says who she is; the status."""
        keys = self._stack.client("dynamodb"), self._stack.name("ApiKeysTable")
        key = create_api_key(*keys, name="demo-site", scopes=["events:write"])
        began = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        said = {"userId": USER, "traits": {"email": ADDRESS, "name": "Ada"}, "messageId": "demo-1", "timestamp": began}
        headers = {"Authorization": key, "Content-Type": "application/json"}
        return self._tour.ask("POST", "/v1/identify", headers, json.dumps(said).encode())[0]

    def await_mail(self) -> Mail | None:
        """The mail to her, once it is in the inbox."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            if found := [mail for mail in self._stack.inbox.mails if mail.recipients == [ADDRESS]]:
                return found[0]
            self._stack.run_schedule("CohortEvaluator")
            time.sleep(0.2)
        return None

    def await_webhook(self) -> dict[str, Any]:
        """What the other system got, its signature checked; nothing where none came."""
        found = self._receiver.await_signed(self._secret, self._patience)
        told: dict[str, Any] = {} if found is None else json.loads(found.body)
        return told

    def click(self, mail: Mail) -> str:
        """She opens the mail, and follows the first link; where that leads."""
        self._tour.ask("GET", f"{INBOX}/{mail.id}", {}, b"")
        page = self._tour.ask("GET", f"{INBOX}/{mail.id}/html", {}, b"")[1].decode()
        found = re.search(rf'href="({INBOX}/{mail.id}/click/0)"', page)
        return self._tour.follow(found[1]) if found else ""

    def await_events(self, types: set[str]) -> list[dict[str, Any]]:
        """What the API knows of mails to her, the oldest first, once these types are among it."""
        now = datetime.now(UTC)
        query = urllib.parse.urlencode(
            {
                "recipients": ADDRESS,
                "from": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
                "to": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
            }
        )
        deadline = time.monotonic() + self._patience
        while True:
            headers = {"Authorization": self._stack.api_key}
            body = self._tour.ask("GET", f"/api/v1/events/message?{query}", headers, b"")[1]
            told: list[dict[str, Any]] = json.loads(body)["results"]
            if types <= {event["event_type"] for event in told} or time.monotonic() > deadline:
                return sorted(told, key=lambda event: str(event["timestamp"]))
            time.sleep(0.1)


def draw_mail(mail: Mail) -> str:
    """Its head, and the beginning of its text."""
    lines = [line for line in mail.part("plain").splitlines() if line.strip()][:3]
    head = [f"From: {mail.header('from')}", f"To: {', '.join(mail.recipients)}", f"Subject: {mail.header('subject')}"]
    return "\n".join(f"  | {line}" for line in [*head, "", *lines])


def draw_webhook(told: Mapping[str, Any]) -> str:
    """What a webhook said, in a line."""
    data = told["data"]
    names = ", ".join(f"{one['id']} ({one['fields'].get('address')})" for one in data["added"])
    return f"{told['type']} of {data['cohort']['name']}: {names} entered, {data['counts']['members']} members"
