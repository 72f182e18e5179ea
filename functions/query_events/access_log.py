"""One line for each request: who asked for what, and how it was answered; with no address, value or key in it."""

import hmac
import logging
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from common.errors import ApiError
from common.responses import Response
from common.settings import read_text
from query_events.routing import RouteTable

MOST_LISTED = 20  # parameters, and recipients; a request may have thousands
HASH_DIGITS = 16
NO_ROUTE = "-"
SAFE_NAME = re.compile(r"[\w.!-]{1,64}", re.ASCII)  # anything else may be an address in a parameter's place

log = logging.getLogger(__name__)


@cache
def _key() -> bytes:
    # No log may fail a request: without the setting hashes can be compared within one process only.
    return read_text("LOG_KEY", secrets.token_hex()).encode()


def hash_recipient(address: str) -> str:
    """What a log has instead of an address, in any case and with white space around: HMAC-SHA256, 16 digits of its hex.

    The key is the deployment's: a log alone is not enough to find out whether an address that someone guesses is in it.
    """
    normal = address.strip().lower().encode("utf-8", "surrogatepass")
    return hmac.digest(_key(), normal, "sha256").hex()[:HASH_DIGITS]


def log_request(table: RouteTable, event: Mapping[str, Any], response: Response, seconds: float) -> None:
    """Logs a request (API Gateway's payload 2.0) that was answered, or refused, within so many seconds."""
    context = event["requestContext"]
    method = context["http"]["method"]
    try:
        route, path_values = table.find("GET", event["rawPath"])
        path = route.path
    except ApiError:
        path, path_values = NO_ROUTE, {}  # it may hold an address, in a place of its own
    given = parse_qsl(event.get("rawQueryString", ""), keep_blank_values=True)
    recipients = {hash_recipient(address) for address in _list_recipients(given, path_values)}
    names = {name if SAFE_NAME.fullmatch(name) else "?" for name, _ in given}
    caller = context.get("authorizer", {}).get("lambda") or {}
    line: dict[str, Any] = {
        "method": method if method.isalpha() else "?",
        "path": path,
        "caller": caller.get("name", ""),
        "status": response["statusCode"],
        "ms": round(seconds * 1000, 1),
        "bytes": len(response.get("body", "")),
        "parameters": sorted(names)[:MOST_LISTED],
    }
    if recipients:
        line["recipients"] = sorted(recipients)[:MOST_LISTED]
    log.info("answered", extra=line)


def _list_recipients(given: list[tuple[str, str]], path_values: Mapping[str, str]) -> Iterator[str]:
    for name in ("address", "person"):  # whose id may be an address
        if name in path_values:
            yield path_values[name]
    for name, value in given:
        if name.startswith("recipients"):
            yield from filter(str.strip, value.split(","))
