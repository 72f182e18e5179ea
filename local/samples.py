"""The payloads of tests/payloads/<provider>: whole requests as the provider sends them, and what becomes of them.

`<name>.http` is a request as it goes over the wire: request line, headers, an empty line, the body to the last byte
(a line break at the file's end belongs to the file). `<name>.json` beside it says:
- `origin`: where the payload is from (vendor documentation from memory, the facts page, a real sample);
- `secrets`: the live secrets, and `now`: when the request arrived; left out where the provider signs nothing;
- `events`: for each event of the body the values that it must have, by the names of `Event` and its parts.

Tests, the benchmark and the demonstration read them.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from providers import Delivery, Provider, WebhookRequest, find_provider

FOLDER = Path(__file__).parents[1] / "tests" / "payloads"
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class Payload(NamedTuple):
    """One request and what is expected of it."""

    name: str  # provider/name
    request: WebhookRequest
    origin: str
    secrets: list[str]
    now: datetime
    events: list[dict[str, Any]]

    @property
    def provider(self) -> Provider:
        """Its module."""
        found = find_provider(self.request.provider)
        assert found is not None
        return found

    @property
    def delivery(self) -> Delivery:
        """What the listener notes of it."""
        request = self.request
        form = "application/x-www-form-urlencoded"
        content_type = form if request.method == "GET" else request.headers.get("content-type", "")
        query = "" if request.method == "GET" else request.query
        return Delivery(self.now, content_type, query, self.provider.find_batch_id(request))

    @property
    def body(self) -> bytes:
        """What the listener stores."""
        return self.request.query.encode() if self.request.method == "GET" else self.request.body


def read_request(content: bytes) -> WebhookRequest:
    """The request of what a `.http` file holds. Raises `ValueError`."""
    head, _, body = content.removesuffix(b"\n").partition(b"\n\n")
    line, *lines = head.decode("utf-8", "surrogatepass").split("\n")
    method, target, _ = line.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    url_path, _, query = target.partition("?")
    _, _, provider, *secret = url_path.split("/")
    return WebhookRequest(provider, method, headers, body, query, url_path, secret[0] if secret else "")


def write_request(request: WebhookRequest) -> bytes:
    """What `read_request` reads."""
    target = f"{request.path}{'?' if request.query else ''}{request.query}"
    lines = [f"{request.method} {target} HTTP/1.1", *[f"{name}: {value}" for name, value in request.headers.items()]]
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n\n" + request.body + b"\n"


def read_payload(path: Path) -> Payload:
    """The payload of a `.http` file."""
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return Payload(
        f"{path.parent.name}/{path.stem}",
        read_request(path.read_bytes()),
        expected["origin"],
        expected.get("secrets", []),
        datetime.fromisoformat(expected["now"]) if "now" in expected else NOW,
        expected["events"],
    )


def list_payloads(provider: str = "*") -> list[Payload]:
    """All payloads, or those of one provider."""
    return [read_payload(path) for path in sorted(FOLDER.glob(f"{provider}/*.http"))]
