"""Outgoing posts can't be turned inward."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailer import outgoing as posting
from mailer.outgoing import LONGEST_ANSWER, ForbiddenTargetError, NoAnswerError, Outgoing, check_address

# Addresses that stand for the machine itself, its network, its cloud's metadata, or nobody.
INNER = (
    *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"),
    *("169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "192.0.0.170", "192.0.2.1", "198.18.0.1"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "2001::1", "::ffff:0:127.0.0.1"),
)
URLS = (
    *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "example.com"),
    *("https://user@example.com/", "https://user:secret@example.com/", "https:///nothing", "https://example.com:22/"),
    *("https://example.com:6379/", "https://example.com:80/", "https://example.com:x/", "https://exa mple.com/"),
    *("https://example.com\\@127.0.0.1/", "https://example.com/\r\nHost: inner", "https://[::1", "//example.com/"),
)


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused(address: str) -> None:
    """However they are written, whatever name leads to them."""
    with pytest.raises(ForbiddenTargetError):
        Outgoing(resolve=lambda _host, _port: [address]).post("https://hooks.example.com/", b"", {})


@pytest.mark.parametrize("url", URLS)
def test_other_urls_are_refused(url: str) -> None:
    """Only https, without a user, at the usual ports; nothing is resolved for others."""

    def resolve(host: str, _port: int) -> list[str]:
        raise AssertionError(host)

    with pytest.raises(ForbiddenTargetError):
        Outgoing(resolve=resolve).post(url, b"", {})


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "localhost."])
def test_other_ways_to_write_an_address_are_refused(host: str) -> None:
    """The system's resolver takes them for addresses: what it finds is checked."""
    with pytest.raises((ForbiddenTargetError, OSError)):
        Outgoing().post(f"https://{host}/", b"", {})


def test_one_inner_address_among_others_is_enough() -> None:
    """Whoever answers with both has a reason."""
    with pytest.raises(ForbiddenTargetError):
        Outgoing(resolve=lambda _host, _port: ["93.184.215.14", "10.0.0.1"]).post("https://a.example/", b"", {})


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "1.1.1.1"])
def test_public_addresses_pass(address: str) -> None:
    """Those may be asked."""
    check_address(address)


class Target:
    """An https server of this machine, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.answer = 200, b"ok"
        self.headers: dict[str, str] = {}
        self.certificate = make_certificate(folder)
        self.trickle: Iterable[bytes] = ()  # sent instead of an answer, one at a time
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                target.asked.append((self.path, dict(self.headers), self.rfile.read(length)))
                for piece in target.trickle:
                    time.sleep(0.1)
                    self.wfile.write(piece)
                if target.trickle:
                    return
                self.send_response(target.status)
                for name, value in target.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(target.answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def make_certificate(folder: Path) -> Path:
    """A certificate for hooks.example.com that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example.com")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path = folder / "certificate.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """One whose certificate is trusted."""
    target = Target(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(target.certificate))
    yield target
    target.server.shutdown()
    target.server.server_close()


def make_outgoing(target: Target, resolved: list[str] | None = None) -> tuple[Outgoing, str]:
    """One that may ask the target, and the target's URL."""
    found = iter(resolved or ["127.0.0.1"])
    outgoing = Outgoing(["hooks.example.com"], resolve=lambda _host, _port: [next(found)])
    return outgoing, f"https://hooks.example.com:{target.port}/a?b=c"


def test_post_goes_to_the_address_that_was_checked(target: Target) -> None:
    """By its name: the certificate is the name's. The name is resolved once, so it can't change in between."""
    outgoing, url = make_outgoing(target)
    answer = outgoing.post(url, b"{}", {"webhook-id": "1"})
    assert (answer.status, answer.body) == (200, b"ok")
    ((path, headers, body),) = target.asked
    assert (path, body, headers["webhook-id"]) == ("/a?b=c", b"{}", "1")
    assert headers["Host"] == f"hooks.example.com:{target.port}"


def test_name_that_leads_elsewhere_the_second_time_is_checked_anew(target: Target) -> None:
    """DNS rebinding: each post resolves once, checks that, and connects to that."""
    answers = iter([["93.184.215.14", "127.0.0.1"], ["127.0.0.1"]])
    outgoing = Outgoing(resolve=lambda _host, _port: next(answers))
    for _ in range(2):
        with pytest.raises(ForbiddenTargetError):
            outgoing.post("https://hooks.example.com/", b"", {})
    assert target.asked == []


def test_certificate_of_another_name_is_refused(target: Target) -> None:
    """The connection is to the name, not to whoever has the address."""
    outgoing = Outgoing(["other.example.com"], resolve=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(ssl.SSLCertVerificationError):
        outgoing.post(f"https://other.example.com:{target.port}/", b"", {})
    assert target.asked == []


def test_redirects_are_not_followed_and_answers_are_cut(target: Target) -> None:
    """What comes back is a status, and the beginning of a body."""
    target.status, target.headers, target.answer = 302, {"Location": "https://127.0.0.1/"}, b"x" * 100_000
    outgoing, url = make_outgoing(target)
    answer = outgoing.post(url, b"{}", {})
    assert (answer.status, len(answer.body)) == (302, LONGEST_ANSWER)
    assert len(target.asked) == 1


def test_every_inner_network_is_an_address() -> None:
    """The list above is what it says."""
    for text in INNER:
        ipaddress.ip_address(text.partition("%")[0])


def test_next_address_is_tried_where_there_is_no_way_to_the_first(target: Target) -> None:
    """A name may have an address of IPv6 where only IPv4 is let out."""
    outgoing = Outgoing(["hooks.example.com"], resolve=lambda _host, _port: ["::2", "127.0.0.1"])
    assert outgoing.post(f"https://hooks.example.com:{target.port}/", b"", {}).status == 200
    with pytest.raises(OSError, match=r"unreachable|refused|route"):
        Outgoing(["hooks.example.com"], resolve=lambda _host, _port: ["::2"]).post(
            "https://hooks.example.com/", b"", {}
        )


@pytest.mark.parametrize("trickle", [[b"H"] * 100, [b"HTTP/1.1 200 OK\r\n", b"\r\n", *[b"x"] * 100]])
def test_answer_that_trickles_in_has_one_deadline(
    target: Target, monkeypatch: pytest.MonkeyPatch, trickle: list[bytes]
) -> None:
    """Of the whole post, however short each wait for a piece of it is. It may have been taken."""
    monkeypatch.setattr(posting, "POST_SECONDS", 0.5)
    target.trickle = trickle
    outgoing, url = make_outgoing(target)
    begun = time.monotonic()
    with pytest.raises(NoAnswerError):
        outgoing.post(url, b"{}", {})
    assert time.monotonic() - begun < 1.5
    assert len(target.asked) == 1


def test_handshake_and_connection_have_the_same_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who takes connections and says nothing. Nothing was asked, so it is no `NoAnswerError`."""
    monkeypatch.setattr(posting, "POST_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        outgoing = Outgoing(["hooks.example.com"], resolve=lambda _host, _port: ["127.0.0.1"])
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            outgoing.post(f"https://hooks.example.com:{port}/", b"", {})
    assert time.monotonic() - begun < 1.5


def test_some_addresses_are_tried_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns a name may give it hundreds; all of them are checked, and each that is tried has less time."""
    tried: list[tuple[str, float]] = []
    addresses = [f"8.8.8.{number}" for number in range(1, 9)]
    really_connect = socket.create_connection

    def connect(address: tuple[str, int], seconds: float, *more: Any, **named: Any) -> socket.socket:
        if address[0] not in addresses:  # another thread's
            return really_connect(address, seconds, *more, **named)
        tried.append((address[0], seconds))
        time.sleep(0.02)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    monkeypatch.setattr(posting, "POST_SECONDS", 1)
    with pytest.raises(TimeoutError):
        Outgoing(resolve=lambda _host, _port: addresses).post("https://hooks.example.com/", b"", {})
    assert [address for address, _ in tried] == addresses[: posting.MOST_ADDRESSES]
    seconds = [each for _, each in tried]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] < seconds[0] <= 1
    with pytest.raises(ForbiddenTargetError):
        Outgoing(resolve=lambda _host, _port: [*addresses, "10.0.0.1"]).post("https://hooks.example.com/", b"", {})


def test_answer_that_is_cut_off_may_have_been_taken(target: Target) -> None:
    """The connection stood: whether the other side took the post nobody knows."""
    target.trickle = [b"HTTP/1.1 "]
    outgoing, url = make_outgoing(target)
    with pytest.raises(NoAnswerError):
        outgoing.post(url, b"{}", {})
    with pytest.raises(ConnectionRefusedError):
        Outgoing(["hooks.example.com"], resolve=lambda _host, _port: ["127.0.0.1"]).post(
            "https://hooks.example.com:1/", b"", {}
        )
