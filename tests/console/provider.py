"""An OpenID Connect provider on 127.0.0.1 where a person can sign in: a page with a button, and the token endpoint."""

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.unit.authorizer.oidc_issuer import AUDIENCE, Issuer

CLIENT_ID = "console"


class Provider:
    """A running provider. `changes` are claims of the next access token, `wrong` changes its ID token."""

    def __init__(self) -> None:
        self.issuer = Issuer()
        self.changes: dict[str, Any] = {}
        self.wrong: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []  # what the console asked for, one of each sign-in
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._authorize(self)

            def do_POST(self) -> None:
                provider._exchange(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.issuer.says = {"authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self.issuer.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.issuer.__exit__(kind, error, traceback)

    def _authorize(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        given = dict(parse_qsl(parts.query))
        if parts.path == "/authorize":
            self.asked.append(given)
            links = "".join(
                f'<p><a href="/{answer}?{urlencode(given)}">{answer}</a>'.replace("&", "&amp;")
                for answer in ("approve", "refuse")
            )
            self._send(request, 200, f"<!doctype html><title>Provider</title><h1>Who are you?</h1>{links}".encode())
            return
        answer = {"state": given["state"], "iss": self.issuer.url}
        if parts.path == "/approve":
            answer["code"] = secrets.token_urlsafe()
            self._codes[answer["code"]] = given
        else:
            answer["error"] = "access_denied"
        request.send_response(302)
        request.send_header("Location", f"{given['redirect_uri']}?{urlencode(answer)}")
        request.end_headers()

    def _exchange(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        begun = self._codes.pop(given.get("code", ""), None)
        digest = hashlib.sha256(given.get("code_verifier", "").encode()).digest()
        if (
            begun is None
            or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]
            or given.get("client_id") != CLIENT_ID
            or given.get("redirect_uri") != begun["redirect_uri"]
        ):
            self._send(request, 400, b'{"error": "invalid_grant"}')
            return
        own = {"aud": CLIENT_ID, "nonce": begun["nonce"], "scope": None, **self.wrong}
        tokens = {
            "access_token": self.issuer.make_token(**{"aud": AUDIENCE, "exp": int(time.time()) + 300, **self.changes}),
            "id_token": self.issuer.make_token("ec", **own),
            "token_type": "Bearer",
        }
        self._send(request, 200, json.dumps(tokens).encode())

    def _send(self, request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/json" if body.startswith(b"{") else "text/html")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
