"""One execution: a request, as a payload's file holds it, goes through the listener, the parser and the loader."""

import hashlib
import http.client
import json
import logging
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from local.samples import list_payloads, read_request, write_request
from providers import Delivery, WebhookRequest, find_provider
from tests.fuzz.changes import change_request
from tests.fuzz.checks import (
    ODD_SECRETS,
    FakeConnection,
    check_answer,
    check_loading,
    check_parsing,
    check_verifying,
    make_gateway_event,
    make_receiver,
)
from webhook_listener import app
from webhook_listener.storage import LONGEST_METADATA

FUNCTIONS = Path(__file__).parents[2] / "functions"
PAYLOADS = list_payloads()
SEEDS = [payload.request for payload in PAYLOADS]
EVERY_SECONDS = 1.0  # a line of figures


class Target:
    """Executes requests, saves those that break something, and tells figures as lines of JSON."""

    def __init__(self, findings: Path) -> None:
        self.executions = self.parsed = 0
        self.found: dict[str, str] = {}  # where it broke → the file that was saved
        self._findings = findings
        self._told_at = time.monotonic()
        self._secrets: dict[str, list[str]] = {}
        self._now: dict[str, datetime] = {}
        for payload in PAYLOADS:
            live = self._secrets.setdefault(payload.request.provider, [])
            live += [secret for secret in payload.secrets if secret not in live]
            self._now[payload.request.provider] = payload.now
        http.client.HTTPSConnection = FakeConnection  # type: ignore[assignment,misc]
        logging.disable(logging.CRITICAL)

    def run(self, content: bytes) -> None:
        """One execution; what breaks is saved once for each place where it breaks."""
        try:
            request = read_request(content)
        except ValueError:
            return
        if not request.provider:
            return
        self.executions += 1
        try:
            self.check(request)
        except Exception as failure:  # noqa: BLE001 - any is a finding
            self._save(content, request, failure)
        if time.monotonic() - self._told_at > EVERY_SECONDS:
            self.tell()

    def check(self, request: WebhookRequest) -> None:
        """Raises whatever does not hold."""
        event = make_gateway_event(request)
        now = self._now.get(request.provider, datetime(2026, 11, 21, tzinfo=UTC))
        for unsigned in (False, True):
            receiver = make_receiver(self._secrets, now, unsigned=unsigned)
            app._receiver = lambda receiver=receiver: receiver  # type: ignore[assignment]
            check_answer(event)
        provider = find_provider(request.provider)
        if provider is None:
            return
        for secrets in (self._secrets.get(request.provider, []), ODD_SECRETS):
            check_verifying(provider, request, secrets, now)
        content_type = request.headers.get("content-type", "")
        delivery = Delivery(now, content_type, request.query, provider.find_batch_id(request)[:LONGEST_METADATA])
        self.parsed += len(check_parsing(provider, request.body, delivery))
        check_loading(request, request.body, delivery)

    def tell(self) -> None:
        """Writes the figures."""
        self._told_at = time.monotonic()
        figures = {"executions": self.executions, "parsed": self.parsed, "findings": list(self.found.items())}
        print(json.dumps(figures), flush=True)

    def _save(self, content: bytes, request: WebhookRequest, failure: Exception) -> None:
        frames = traceback.extract_tb(failure.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith(str(FUNCTIONS))] or frames
        place = f"{type(failure).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
        if place in self.found:
            return
        provider = request.provider if find_provider(request.provider) else "none"
        path = self._findings / f"{provider}-{hashlib.sha256(content).hexdigest()[:12]}.http"
        self._findings.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.with_suffix(".txt").write_text("".join(traceback.format_exception(failure)), "utf-8", "backslashreplace")
        self.found[place] = str(path)
        self.tell()


def change_content(content: bytes, chance: Random) -> bytes:
    """A request that is a little wrong, made of another one; of any payload where there is none."""
    try:
        request = read_request(content)
    except ValueError:
        request = chance.choice(SEEDS)
    for _ in range(chance.choice([1, 1, 2])):
        request = change_request(request, chance)
    return write_request(request)
