"""Answers over HTTP: compressed, tagged and open to other origins where that is asked for and allowed."""

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import NamedTuple

from common.errors import ApiError
from common.responses import Response
from common.settings import read_text

METHODS = "GET, HEAD, OPTIONS"
SMALLEST_COMPRESSED = 1_000  # bytes; below, the headers weigh more than what is saved
# A page of 1,000 events, 1.2 MB: level 1 takes 4 ms and leaves an eighth, level 6 takes 9 ms and leaves a twelfth.
# Lambda's runtime makes up for 2.6 ms of it: it need not escape the JSON within its own.
COMPRESSION_LEVEL = 1

# No other than the caller may keep an answer, who must ask again before using it; it is JSON whatever it looks like.
ALWAYS = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
# What an error's status asks for beside its body.
OF_STATUS = {401: {"www-authenticate": "Bearer"}, 429: {"retry-after": "1"}}

VARIES = "accept-encoding, authorization"
NO_ORIGIN = "none"
PREFLIGHT = {
    "access-control-allow-methods": METHODS,
    "access-control-allow-headers": "authorization, content-type, if-none-match",
    "access-control-max-age": "7200",
}


class Answer(NamedTuple):
    """What to answer, before it is fitted to what the request's headers ask for."""

    status: int
    body: bytes = b""  # JSON unless `headers` name another content-type, or nothing
    headers: Mapping[str, str] = {}
    etag: bool = False  # tell who has the same answer already that nothing changed


def wrap(found: "bytes | Answer", *, etag: bool) -> Answer:
    """What a route found, as an answer."""
    return found if isinstance(found, Answer) else Answer(200, found, etag=etag)


class MethodError(ApiError):
    """A path that is not asked for so."""

    def __init__(self, methods: str) -> None:
        super().__init__(405, "Method not allowed", f"Use {methods}.", "1102")
        self.methods = methods


def answer_options(methods: str = METHODS) -> Answer:
    """What may be asked; browsers ask it before a page of another origin may, and send no key."""
    return Answer(204, headers={"allow": methods})


def answer_error(error: ApiError) -> Answer:
    """The one error body: `{"errors":[{"message","description","code"}]}`."""
    entry = {"message": error.message, "description": error.description, "code": error.code}
    headers = {"allow": error.methods} if isinstance(error, MethodError) else OF_STATUS.get(error.status, {})
    return Answer(error.status, json.dumps({"errors": [entry]}, separators=(",", ":")).encode(), headers)


def build_response(answer: Answer, asked: Mapping[str, str]) -> Response:
    """The response in API Gateway's payload 2.0; `asked` are the request's headers, names in lower case.

    HEAD gets what GET gets: the gateway leaves the body out.
    """
    headers = {**ALWAYS, **answer.headers, **_open_to(asked)}
    if answer.etag and answer.status == 200:
        headers["etag"] = make_etag(answer.body)
        if matches_etag(asked.get("if-none-match", ""), headers["etag"]):
            return {"statusCode": 304, "headers": headers}
    if not answer.body and "content-type" not in answer.headers:
        return {"statusCode": answer.status, "headers": headers}
    headers.setdefault("content-type", "application/json")
    if len(answer.body) >= SMALLEST_COMPRESSED and accepts_gzip(asked.get("accept-encoding", "")):
        headers["content-encoding"] = "gzip"
        packed = gzip.compress(answer.body, COMPRESSION_LEVEL, mtime=0)
        return {
            "statusCode": answer.status,
            "headers": headers,
            "body": b64encode(packed).decode(),
            "isBase64Encoded": True,
        }
    return {"statusCode": answer.status, "headers": headers, "body": answer.body.decode()}


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the client takes gzip, and likes it no less than no encoding at all (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for entry in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in entry.split(";"))
        weights[coding.replace("x-gzip", "gzip")] = _read_weight(parameters)
    wanted = weights.get("gzip", weights.get("*", 0.0))
    return wanted > 0 and wanted >= weights.get("identity", 0.0)


def _read_weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def make_etag(body: bytes) -> str:
    """A tag of the content; weak, since it is the same for the compressed answer."""
    return f'W/"{blake2b(body, digest_size=12).hexdigest()}"'


def matches_etag(if_none_match: str, etag: str) -> bool:
    """Whether a list of tags, or `*`, has the tag; strong or weak does not matter here (RFC 9110, 13.1.2)."""
    given = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in given or etag.removeprefix("W/") in given


@cache
def _origins() -> frozenset[str]:
    return frozenset(read_text("CORS_ORIGINS", NO_ORIGIN).split(","))


def _open_to(asked: Mapping[str, str]) -> dict[str, str]:
    """`Vary`, and what lets a page of an allowed origin read the answer.

    API keys are sent in a header, never as a cookie: an origin that is let in can do nothing without a key.
    """
    origin, origins = asked.get("origin", ""), _origins()
    if NO_ORIGIN in origins:
        return {"vary": VARIES}
    headers = {"vary": f"{VARIES}, origin"}
    if origin and not origins.isdisjoint({"*", origin}):
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = "etag"
        if "access-control-request-method" in asked:
            headers |= PREFLIGHT
    return headers
