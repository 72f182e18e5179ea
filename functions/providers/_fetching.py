"""The listener's own requests to a provider: short, over HTTPS, to addresses that were checked before."""

import http.client
import ssl
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from common.aws import AwsError

TIMEOUT_SECONDS = 2.5  # to connect, and for each read: the function has 10 s, SNS waits 15
LARGEST = 100_000  # bytes of an answer


class Answer(NamedTuple):
    """What was answered; the body is cut at `LARGEST`."""

    status: int
    body: bytes


Fetch = Callable[[str], Answer]


def fetch(url: str, context: ssl.SSLContext | None = None) -> Answer:
    """The answer to a GET; a redirect is an answer like another. Raises `AwsError` where none came."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("not an https URL")
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        response = connection.getresponse()
        return Answer(response.status, response.read(LARGEST))
    except (OSError, http.client.HTTPException) as failure:
        raise AwsError(0, type(failure).__name__, f"GET {parts.hostname}") from failure
    finally:
        connection.close()
