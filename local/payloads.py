"""API Gateway's HTTP API payload format 2.0, both ways.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from local.declared import Route
from local.template import ACCOUNT_ID
from local.web import Request, Response

API_ID = "local"
# Bodies of these types reach a function as text; every other type, and any content encoding, as base64.
TEXT_TYPES = ("text/", "application/json", "application/xml", "application/javascript", "application/vnd.api+json")
TEXT_SUFFIXES = ("+json", "+xml")


def split_target(target: str) -> tuple[str, str]:
    """The decoded path and the raw query string of a request's target."""
    path, _, query = target.partition("?")
    return unquote(path), query


def build_event(request: Request, route: Route, path_parameters: Mapping[str, str]) -> dict[str, Any]:
    """The event that a function gets for a request."""
    path, query = split_target(request.target)
    headers = _join_headers(request)
    now = time.time()
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": ACCOUNT_ID,
            "apiId": API_ID,
            "domainName": headers.get("host", ""),
            "domainPrefix": API_ID,
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.client,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": uuid.uuid4().hex[:16],
            "routeKey": route.key,
            "stage": "$default",
            "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }
    cookies = [cookie.strip() for line in request.headers.get_all("cookie", []) for cookie in line.split(";")]
    if cookies:
        event["cookies"] = cookies
    if query:
        event["queryStringParameters"] = _join_pairs(parse_qsl(query, keep_blank_values=True))
    if path_parameters:
        event["pathParameters"] = dict(path_parameters)
    if request.body:
        event["body"], event["isBase64Encoded"] = _encode_body(request.body, headers)
    return event


def _join_headers(request: Request) -> dict[str, str]:
    """Lower-case names; a header that was sent several times is joined with commas; cookies are kept elsewhere."""
    headers = _join_pairs((name.lower(), value) for name, value in request.headers.items() if name.lower() != "cookie")
    headers.setdefault("x-forwarded-for", request.client)
    headers.setdefault("x-forwarded-proto", "http")
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    return headers


def _join_pairs(pairs: Any) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _encode_body(body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
    if _is_text(headers):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # not the text that it says to be: only base64 keeps its bytes
    return base64.b64encode(body).decode(), True


def _is_text(headers: Mapping[str, str]) -> bool:
    if headers.get("content-encoding", "identity").lower() != "identity":
        return False
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    return content_type.startswith(TEXT_TYPES) or content_type.endswith(TEXT_SUFFIXES)


class InvalidAnswerError(Exception):
    """A function answered something that API Gateway cannot turn into a response."""


def parse_answer(payload: bytes) -> Response:
    """The response for a function's answer. One without `statusCode` is itself the JSON body of a 200.

    Raises InvalidAnswerError when the answer is not as the payload format asks.
    """
    try:
        answer = json.loads(payload)
    except ValueError as error:
        raise InvalidAnswerError("the answer is no JSON") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(headers=[("Content-Type", "application/json")], body=body.encode())
    try:
        status = int(answer["statusCode"])
        headers = [(str(name), _header_text(value)) for name, value in (answer.get("headers") or {}).items()]
        headers += [("Set-Cookie", str(cookie)) for cookie in answer.get("cookies") or []]
        body_text = answer.get("body") or ""
        body_bytes = base64.b64decode(body_text) if answer.get("isBase64Encoded") else body_text.encode()
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidAnswerError(f"the answer is not in payload format 2.0: {error}") from error
    kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
    if body_bytes and not any(name.lower() == "content-type" for name, _ in kept):
        kept.append(("Content-Type", "text/plain;charset=utf-8"))
    return Response(status=status, headers=kept, body=body_bytes)


def _header_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
