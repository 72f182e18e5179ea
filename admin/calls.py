"""Asks the API of a deployed stack."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60
TOO_MANY, FAILED = 429, 500  # statuses


class CallError(Exception):
    """The API refused what it was asked for, or is not there."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.may_pass = status is None or status == TOO_MANY or status >= FAILED  # asked again later


def check_url(url: str) -> str:
    """A URL of an API, without a slash at its end. Raises `CallError`."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise CallError(f"{url} is no URL of an API: it begins with https://, and ends in /api/v1")
    return url.rstrip("/")


def call_api(method: str, url: str, key: str, body: object) -> tuple[int, Any]:
    """The status and the answer. Raises `CallError`."""
    headers = {"authorization": key, "content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise CallError(f"{method} {url}: {error.code}: {_find_reason(error.read())}", error.code) from None
    except (OSError, ValueError) as error:
        raise CallError(f"{method} {url}: {getattr(error, 'reason', error)}") from None


def _find_reason(body: bytes) -> str:
    """What an error's body says."""
    try:
        error = json.loads(body)["errors"][0]
        return ": ".join(str(error[part]) for part in ("message", "description") if error.get(part))
    except (ValueError, LookupError, TypeError, AttributeError):
        return body[:200].decode(errors="replace")
