"""Somebody's endpoint for webhooks: https on this machine alone, with a certificate of its own; keeps what comes."""

import contextlib
import ipaddress
import random
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from providers import UnverifiedError, WebhookRequest
from providers._standard_webhooks import check_standard_webhook

PORT = 8443  # beside 443 the only one that webhooks go to
PATH = "/hooks/mailwake"


class Receiver:
    """Listens at an address of the loopback network that is likely nobody else's; `folder` gets its certificate."""

    def __init__(self, folder: Path) -> None:
        self.received: list[WebhookRequest] = []
        self._server = _listen(self.received)
        self.host = str(self._server.server_address[0])
        self.url = f"https://{self.host}:{PORT}{PATH}"
        self.certificate = folder / "receiver.pem"  # what its clients must trust
        key_file = _write_certificate(self.host, self.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="receiver", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def await_signed(self, secret: str, patience: float) -> WebhookRequest | None:
        """The first webhook with a right signature, by the Standard Webhooks scheme; None when patience ends."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            for request in list(self.received):
                with contextlib.suppress(UnverifiedError):
                    check_standard_webhook(request, [secret], datetime.now(UTC))
                    return request
            time.sleep(0.05)
        return None


def _listen(received: list[WebhookRequest]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append(WebhookRequest("receiver", "POST", headers, body, path=self.path))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
            """Nothing."""

    likely = [f"127.{random.randint(1, 254)}.{random.randint(0, 255)}.{random.randint(1, 254)}" for _ in range(3)]
    for address in [*likely, "127.0.0.1"]:  # not every system has more than the last
        with contextlib.suppress(OSError):
            return ThreadingHTTPServer((address, PORT), Handler)
    raise OSError(f"nothing can listen at port {PORT} of this machine")


def _write_certificate(host: str, path: Path) -> Path:
    """Writes a certificate, signed by itself, and its key beside it; where the key is."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Mailwake's demonstration")])
    began = datetime.now(UTC) - timedelta(hours=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=2))
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False
    ).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    path.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key_file = path.with_suffix(".key")
    key_file.touch(mode=0o600)
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key_file
