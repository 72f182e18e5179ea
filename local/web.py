"""A small HTTP/1.1 server with keep-alive, for the gateway, the Lambda APIs and custom resources' answers."""

import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request; `target` is the path with its query string, as sent."""

    method: str
    target: str
    headers: Message
    body: bytes
    client: str  # the sender's IP address
    protocol: str  # "HTTP/1.1"


@dataclass(frozen=True, kw_only=True)
class Response:
    """One response; Content-Length is added by the server."""

    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


Answer = Callable[[Request], Response | None]  # None: close the connection without an answer


class BodyTooLargeError(Exception):
    """The request's body is larger than the server takes."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # buffered: head and body leave in one packet
    server: "WebServer"

    def handle_one_request(self) -> None:
        """Reads one request and answers it; the connection stays open for the next."""
        self.raw_requestline = self._read_request_line()
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():  # it has answered with an error
            return
        try:
            response = self._answer()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return
        if response is None:
            self.close_connection = True
            return
        self._send(response)

    def _read_request_line(self) -> bytes:
        try:
            return self.rfile.readline(65537)
        except (ConnectionError, TimeoutError):
            return b""

    def _answer(self) -> Response | None:
        try:
            body = self._read_body()
        except BodyTooLargeError:
            self.close_connection = True  # the rest of the body is not read
            return self.server.too_large
        request = Request(
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=body,
            client=str(self.client_address[0]),
            protocol=self.request_version,
        )
        return self.server.answer(request)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length > self.server.body_limit:
            raise BodyTooLargeError
        return self.rfile.read(length) if length else b""

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline(1024).split(b";")[0], 16):
            if len(body) + size > self.server.body_limit:
                raise BodyTooLargeError
            body += self.rfile.read(size)
            self.rfile.readline(1024)
        while self.rfile.readline(65537).strip():
            pass  # trailers
        return bytes(body)

    def _send(self, response: Response) -> None:
        reason = _REASONS.get(response.status, "")
        lines = [f"HTTP/1.1 {response.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if response.status >= 200 and response.status not in (204, 304):
            lines.append(f"Content-Length: {len(response.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        try:
            self.wfile.write(head if self.command == "HEAD" else head + response.body)
            self.wfile.flush()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Nothing: whoever answers keeps a log of their own."""


_REASONS = {status.value: status.phrase for status in HTTPStatus}


class WebServer(ThreadingHTTPServer):
    """Answers requests in threads of its own. Binding fails with OSError when the port is taken."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(
        self,
        answer: Answer,
        *,
        port: int = 0,
        body_limit: int = 64 * 1024 * 1024,
        too_large: Response | None = None,
    ) -> None:
        self.answer = answer
        self.body_limit = body_limit
        self.too_large = too_large or Response(status=413)
        self._connections: set[socket.socket] = set()
        self._thread: threading.Thread | None = None
        super().__init__(("127.0.0.1", port), _Handler)

    @property
    def port(self) -> int:
        """The port that it is bound to."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> None:
        """Serves in a daemon thread."""
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and drops open connections."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by the other side already

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serves one connection, which `stop` can drop."""
        self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no error of ours; anything else is shown by the base class."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
