"""AWS over the standard library: Signature Version 4 and kept connections.

boto3 takes a quarter of a second to import, which every ESP would wait for. This covers the few calls that the
functions make: S3's GetObject and PutObject, and the services that speak JSON (DynamoDB, Secrets Manager).
Source of the signature: "Create a signed AWS API request" in the IAM User Guide.
"""

import hashlib
import hmac
import http.client
import json
import os
import random
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from common.clock import now

ATTEMPTS = 3
BACKOFF_SECONDS = 0.1  # doubled with each attempt, with full jitter
TIMEOUT_SECONDS = 2.5  # for one attempt: SparkPost gives a webhook 10 s in all
EMPTY_DIGEST = hashlib.sha256(b"").hexdigest()


class AwsError(Exception):
    """AWS refused, or could not be reached (`status` 0)."""

    def __init__(self, status: int, code: str, action: str) -> None:
        super().__init__(f"{action}: {status or 'unreachable'} {code}".rstrip())
        self.status = status
        self.code = code


class Credentials(NamedTuple):
    """An access key; `token` is empty for one that does not expire."""

    access_key: str
    secret_key: str
    token: str

    @classmethod
    def read(cls) -> "Credentials":
        """Those that Lambda gives to the execution environment."""
        env = os.environ
        return cls(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN", ""))


class Answer(NamedTuple):
    """What a service answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def sign(
    credentials: Credentials, service: str, region: str, instant: datetime, scope_date: str, canonical: str
) -> str:
    """The hex signature of a canonical request."""
    scope = f"{scope_date}/{region}/{service}/aws4_request"
    key = _hmac(b"AWS4" + credentials.secret_key.encode(), scope_date)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return _hmac(key, f"AWS4-HMAC-SHA256\n{instant:%Y%m%dT%H%M%SZ}\n{scope}\n{digest}").hex()


def sign_headers(
    credentials: Credentials,
    service: str,
    region: str,
    method: str,
    host: str,
    path: str,
    headers: Mapping[str, str],
    digest: str,
    instant: datetime,
) -> dict[str, str]:
    """The request's headers with `authorization` and what it covers; `headers` have lower-case names."""
    date = f"{instant:%Y%m%d}"
    signed = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": f"{instant:%Y%m%dT%H%M%SZ}"}
    if credentials.token:
        signed["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{' '.join(signed[name].split())}\n" for name in sorted(signed))
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    signature = sign(credentials, service, region, instant, date, canonical)
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{date}/{region}/{service}/aws4_request,"
        f"SignedHeaders={names},Signature={signature}"
    )
    return signed


def build_database_token(host: str, port: int, user: str, region: str) -> str:
    """An RDS IAM log-in token, valid for 15 minutes: a presigned URL that nobody calls."""
    place = f"{host}:{port}"
    query = {"Action": "connect", "DBUser": user}
    return f"{place}/?{presign('rds-db', region, place, '/', query, 900, EMPTY_DIGEST)}"


def presign(
    service: str, region: str, host: str, path: str, given: Mapping[str, str], seconds: int, digest: str
) -> str:
    """The signed query of a GET that somebody else may send, for so long at most as our own credentials hold."""
    credentials, instant = Credentials.read(), now()
    date = f"{instant:%Y%m%d}"
    query = {
        **given,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{credentials.access_key}/{date}/{region}/{service}/aws4_request",
        "X-Amz-Date": f"{instant:%Y%m%dT%H%M%SZ}",
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.token:
        query["X-Amz-Security-Token"] = credentials.token
    encoded = "&".join(f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}" for name in sorted(query))
    canonical = f"GET\n{path}\n{encoded}\nhost:{host}\n\nhost\n{digest}"
    return f"{encoded}&X-Amz-Signature={sign(credentials, service, region, instant, date, canonical)}"


class AwsClient:
    """One service in one region over one kept connection; not for several threads at once."""

    def __init__(self, service: str, *, host_prefix: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        self.service = service
        self.region = os.environ["AWS_REGION"]
        self._sleep = sleep
        override = os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or os.environ.get("AWS_ENDPOINT_URL")
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        url = urlsplit(override or f"https://{host_prefix}{service}.{self.region}.{suffix}")
        self.overridden = bool(override)
        self._secure, self._host = url.scheme == "https", url.netloc
        self.origin = f"{url.scheme}://{url.netloc}"
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        digest: str | None = None,
        retried: frozenset[int] = frozenset({409, 429, 500, 502, 503, 504}),
    ) -> Answer:
        """Sends a signed request, again after a backoff when AWS is busy or unreachable; the last answer is returned.

        `path` is already encoded; `digest` is the body's SHA-256 where the caller knows it. Raises `AwsError` when no
        answer came at all.
        """
        digest = digest or hashlib.sha256(body).hexdigest()
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self._send(method, path, headers, body, digest)
            except (OSError, http.client.HTTPException) as failure:
                self.close()
                if last:
                    raise AwsError(0, type(failure).__name__, f"{self.service} {method}") from failure
            else:
                if last or answer.status not in retried:
                    return answer
            self._sleep(random.uniform(0, BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - jitter
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes, digest: str) -> Answer:
        signed = sign_headers(
            Credentials.read(), self.service, self.region, method, self._host, path, headers, digest, now()
        )
        reused = self._connection is not None
        connection = self._connection = self._connection or self._connect()
        try:
            connection.request(method, path, body=body or None, headers=signed)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not reused:
                raise
            self.close()  # an idle connection that the server has closed meanwhile
            return self._send(method, path, headers, body, digest)
        return Answer(response.status, response.headers, response.read())

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Drops the connection; the next request opens another."""
        if self._connection:
            self._connection.close()
        self._connection = None


def call_json(client: AwsClient, target: str, payload: object, *, version: str) -> dict[str, Any]:
    """An action of a JSON service, e.g. `secretsmanager.GetSecretValue` with version 1.1. Raises `AwsError`."""
    headers = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": target}
    answer = client.request("POST", "/", headers, json.dumps(payload).encode())
    body: dict[str, Any] = {}
    if answer.body.startswith(b"{"):
        body = json.loads(answer.body)
    if answer.status != 200:
        raise AwsError(answer.status, str(body.get("__type", "")).rpartition("#")[2], target)
    return body
