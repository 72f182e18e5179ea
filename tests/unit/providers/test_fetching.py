"""The listener's own requests, against a server on this machine."""

import ssl
import threading
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.aws import AwsError
from providers._fetching import LARGEST, fetch


class Server(BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self) -> None:
        """A redirect, a large answer, or the path."""
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("location", "/")
        self.end_headers()
        self.wfile.write(b"x" * (LARGEST + 1) if self.path == "/large" else self.path.encode())

    def log_message(self, *_: object) -> None:
        """Stays quiet."""


@pytest.fixture
def context(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS for a server on 127.0.0.1, and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2020, 1, 1), datetime(2120, 1, 1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=pem.decode())
    return server, client


@pytest.fixture
def address(context: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[str]:
    """Where the server listens."""
    server = HTTPServer(("127.0.0.1", 0), Server)
    server.socket = context[0].wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_answers(address: str, context: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    """Path and query are asked for as given; a redirect is not followed; a large answer is cut."""
    assert fetch(f"{address}/a?b=c%20d", context[1]) == (200, b"/a?b=c%20d")
    assert fetch(address, context[1]) == (200, b"/")
    assert fetch(f"{address}/moved", context[1]).status == 302
    assert fetch(f"{address}/large", context[1]) == (200, b"x" * LARGEST)


def test_a_server_that_nobody_vouches_for(address: str) -> None:
    """A certificate of unknown origin is no answer, and so is a closed port."""
    for url in (address, "https://127.0.0.1:1"):
        with pytest.raises(AwsError, match=r"GET 127\.0\.0\.1: unreachable"):
            fetch(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "file:///etc/passwd", "https:///", "", "//example.com"])
def test_only_https(url: str) -> None:
    """Nothing is asked over another protocol."""
    with pytest.raises(ValueError, match="not an https URL"):
        fetch(url)
