"""A request as the console looks at it, and answers with the headers that every one of them has."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from common.responses import Response
from common.settings import read_text

# Nothing but this origin's own files: no inline script or style, no other host, no frame around it, no plug-in.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-src 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
ALWAYS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
}


class Request(NamedTuple):
    """A request of a browser's."""

    method: str
    path: str
    origin: str  # this console's own: https://host
    headers: Mapping[str, str]  # names in lower case
    cookies: Sequence[str]  # name=value
    query: Mapping[str, str]
    form: Mapping[str, str]  # what was posted
    body: str = ""  # the same as it came

    @property
    def is_own(self) -> bool:
        """Whether a page of this console sent it, by the browser's word; another site's forms can't."""
        site = self.headers.get("sec-fetch-site")
        return site == "same-origin" if site else self.headers.get("origin") == self.origin


def read_request(event: Mapping[str, Any]) -> Request:
    """API Gateway's payload 2.0."""
    context = event["requestContext"]
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body).decode("utf-8", "replace")
    return Request(
        method=context["http"]["method"],
        path=event["rawPath"],
        origin=build_origin(context["domainName"]),
        headers=headers,
        cookies=event.get("cookies") or [],
        query=dict(parse_qsl(event.get("rawQueryString", ""))),
        form=dict(parse_qsl(body)) if len(body) < 10_000 else {},
        body=body,
    )


def build_origin(host: str) -> str:
    """The origin of a host, by https but on the local stack."""
    is_local = host.partition(":")[0] == "127.0.0.1" and read_text("OIDC_TLS", "always") == "not-on-loopback"
    return f"{'http' if is_local else 'https'}://{host}"


def answer_page(status: int, html: str, cookies: Sequence[str] = ()) -> Response:
    """A page that nobody keeps."""
    headers = {**ALWAYS, "content-type": "text/html; charset=utf-8", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "cookies": list(cookies), "body": html}


def answer_json(status: int, body: object, cookies: Sequence[str] = ()) -> Response:
    """JSON that nobody keeps."""
    headers = {**ALWAYS, "content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "cookies": list(cookies), "body": json.dumps(body)}


def answer_nothing(cookies: Sequence[str] = ()) -> Response:
    """There is nothing to say."""
    return {"statusCode": 204, "headers": {**ALWAYS, "cache-control": "no-store"}, "cookies": list(cookies)}


def answer_redirect(location: str, cookies: Sequence[str] = ()) -> Response:
    """Sends the browser elsewhere, by GET."""
    headers = {**ALWAYS, "location": location, "cache-control": "no-store"}
    return {"statusCode": 303, "headers": headers, "cookies": list(cookies)}


def build_cookie(name: str, value: str, *, same_site: str = "Strict", seconds: int | None = None) -> str:
    """A cookie that scripts can't read; without `seconds` until the browser is closed."""
    age = "" if seconds is None else f"; Max-Age={seconds}"
    return f"{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}{age}"
