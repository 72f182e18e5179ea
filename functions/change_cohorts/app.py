"""Entry point of what changes cohorts: `PUT` and `DELETE /api/v1/cohorts/{cohort}`, `POST /api/v1/cohorts/dry-run`."""

import base64
import binascii
import logging
from functools import cache
from typing import Any

import psycopg2
import psycopg2.errors

from change_cohorts.changes import ROUTES
from change_cohorts.requests import Change
from common.clock import now
from common.database import Database, DatabaseSettings, DatabaseUnavailableError, connect, is_transient
from common.errors import ApiError, locate
from common.json_text import decode_json
from common.responses import Response, build_error, build_json
from common.text import clean_text

SCOPE = "cohorts:write"
READ_PII = "pii:read"  # without it previews and test mails show nothing of anybody
LISTS = "POST /api/v1/suppressions"
LARGEST = 200_000  # bytes of a definition
LARGEST_TEMPLATE = 4_000_000
LARGEST_LIST = 4_000_000  # bytes of a list of whom not to mail; Lambda takes 6 MB

log = logging.getLogger(__name__)


@cache
def _database() -> Database:
    settings = DatabaseSettings.read()
    return Database(lambda: connect(settings, work_mem="64MB", statement_timeout="25s"))


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers a request in API Gateway's payload 2.0, whatever happens."""
    headers = {"cache-control": "private, no-cache", "x-content-type-options": "nosniff", "vary": "authorization"}
    try:
        caller = _check_caller(event)
        change = Change(
            connection=_database().get(),
            instant=now(),
            caller=caller,
            path={name: clean_text(value) for name, value in (event.get("pathParameters") or {}).items()},
            body=_read_body(event),
            may_see=not {READ_PII, "admin"}.isdisjoint(
                event["requestContext"]["authorizer"]["lambda"]["scopes"].split()
            ),
        )
        status, body = ROUTES[event["routeKey"]](change)
        log.info("cohorts changed", extra={"route": event["routeKey"], "caller": caller, "status": status})
        return build_json(status, body, headers)
    except ApiError as error:
        return build_error(error, headers)
    except psycopg2.errors.QueryCanceled:
        return build_error(ApiError(503, "It took too long", "Ask for fewer days, or a smaller share."), headers)
    except Exception as failure:  # noqa: BLE001 (the client gets our error body, an alarm watches the log)
        log.error("failed", extra={"error": type(failure).__qualname__, "where": locate(failure)})
        if isinstance(failure, DatabaseUnavailableError) or (
            isinstance(failure, psycopg2.Error) and is_transient(failure)
        ):
            _database().close()
            unavailable = ApiError(503, "Service unavailable", "The database can't be reached; try again.")
            return build_error(unavailable, headers)
        return build_error(ApiError(500, "Internal server error", "This is our mistake; it has been noted."), headers)


def _check_caller(event: dict[str, Any]) -> str:
    """The name of the caller whom the authorizer found. Raises `ApiError`."""
    found = event["requestContext"].get("authorizer", {}).get("lambda") or {}
    if found.get("refusal") == "unavailable":
        raise ApiError(503, "Service unavailable", "The issuer of the token can't be reached; try again.")
    if found.get("refusal") or not found.get("name"):
        raise ApiError(401, "Unauthorized", "Send a valid API key or token in the Authorization header.")
    if {SCOPE, "admin"}.isdisjoint(found.get("scopes", "").split()):
        raise ApiError(403, "Forbidden", f"The key or token lacks the scope {SCOPE}.", "1100")
    return str(found["name"])


def _read_body(event: dict[str, Any]) -> Any:
    """The JSON of the body; None without one. Raises `ApiError`."""
    text = event.get("body") or ""
    try:
        body = base64.b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        is_template = "/templates/" in event["routeKey"]
        largest = LARGEST_LIST if event["routeKey"] == LISTS else LARGEST_TEMPLATE if is_template else LARGEST
        if len(body) > largest:
            raise ApiError(413, "Too large", f"A body has at most {largest:,} bytes here.")
        return decode_json(body) if body else None
    except (ValueError, binascii.Error, RecursionError):
        raise ApiError(400, "The body can't be read", "Send a JSON object.") from None
