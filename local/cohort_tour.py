"""A cohort that gains a member and loses her again, through the API, with the reasons."""

import contextlib
import http.client
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from admin.api_keys import create_api_key
from local.stack import Stack
from local.usage_tour import send_calls

NAME = "first-calls-that-fail"
DEFINITION = {
    "name": NAME,
    "title": "First API call today, and the newest one a 400",
    "subject": "user",
    "members": {
        "all": [
            {"did_first": {"event": "call"}, "window": {"last": "24 hours"}},
            {"last": {"event": "call"}, "has": {"status": 400}, "window": {"last": "24 hours"}},
        ]
    },
}
SENDER = "mailwake@example.com"
DIGEST = {
    "name": "team",
    "cohort": NAME,
    "on": ["entered", "exited"],
    "channel": {"email": {"to": ["team@example.com"]}},
    "period": "1 second",
    "brief": True,
}
USER = "umbrella-0"
AGENT = "Mozilla/5.0 (demonstration)"


class Tour:
    """The steps, each answered by what the API says then."""

    def __init__(self, stack: Stack, patience: float) -> None:
        self._stack = stack
        self._patience = patience
        self._number = 0
        self._key = ""

    def save_cohort(self) -> int:
        """Saves the definition, and lets it be switched on; the status."""
        status = self.save(f"cohorts/{NAME}", DEFINITION)
        self.save(f"notifications/{DIGEST['name']}", DIGEST)
        self._stack.run_schedule("CohortEvaluator")
        return status

    def save(self, path: str, definition: Mapping[str, Any]) -> int:
        """Saves what is below `/api/v1/`, with a key that may; the status."""
        if not self._key:
            keys = self._stack.client("dynamodb"), self._stack.name("ApiKeysTable")
            self._key = create_api_key(*keys, name="demo-marketing", scopes=["cohorts:write"])
        headers = {"Authorization": self._key, "Content-Type": "application/json"}
        return self.ask("PUT", f"/api/v1/{path}", headers, json.dumps(definition).encode())[0]

    def await_delivery(self) -> dict[str, Any]:
        """What became of the mail to the team, once it is known; nothing when patience ends."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            self._stack.run_schedule("CohortEvaluator")
            _, body = self.ask("GET", "/api/v1/deliveries", {"Authorization": self._stack.api_key})
            if found := [one for one in json.loads(body)["results"] if one["channel"] == "email"]:
                delivery: dict[str, Any] = found[-1]
                return delivery
            time.sleep(0.2)
        return {}

    def call(self, status: int, now: datetime) -> int:
        """A call of the user's that is answered so; the status of its ingest."""
        self._number += 1
        began = now - timedelta(milliseconds=20)
        call = {
            "request": {
                "time": began.isoformat(timespec="milliseconds"),
                "uri": "https://api.example.com/v1/orders",
                "verb": "POST",
                "headers": {"User-Agent": "umbrella/1.0"},
            },
            "response": {"time": now.isoformat(timespec="milliseconds"), "status": status},
            "user_id": USER,
            "company_id": "umbrella",
            "transaction_id": f"demo-umbrella-{self._number}",
        }
        return send_calls(self._stack, [call])

    def await_transitions(self, kinds: Sequence[str], cohort: str = NAME) -> list[dict[str, Any]]:
        """The user's transitions, the oldest first, once they are these, or what there is when patience ends."""
        deadline = time.monotonic() + self._patience
        while True:
            self._stack.run_schedule("CohortEvaluator")
            _, body = self.ask("GET", f"/api/v1/cohorts/{cohort}/transitions", {"Authorization": self._stack.api_key})
            told: list[dict[str, Any]] = json.loads(body)["results"]
            found = [one for one in reversed(told) if {"type": "user", "value": USER} in one["identities"]]
            if [one["kind"] for one in found] == list(kinds) or time.monotonic() > deadline:
                return found
            time.sleep(0.2)

    def follow(self, target: str) -> str:
        """Where an address leads on to; empty where it does not."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=40)) as connection:
            connection.request("GET", target, headers={"User-Agent": AGENT})
            return connection.getresponse().getheader("Location", "")

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of an answer of the stack's."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._stack.port, timeout=40)) as connection:
            connection.request(method, target, body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()


def draw_transitions(found: Sequence[Mapping[str, Any]]) -> str:
    """One line for each, and what its conditions found."""
    lines = []
    for one in found:
        names = ", ".join(str(each["value"]) for each in one["identities"])
        lines.append(f"  {one['at']}  {names} {one['kind']}")
        for condition in one["cause"]["conditions"]:
            events = [event["occurred_at"] for event in condition["events"]]
            seen = f", by events at {', '.join(events)}" if events else ""
            lines.append(f"      {condition['place']}: {'true' if condition['holds'] else 'not true'}{seen}")
    return "\n".join(lines)
