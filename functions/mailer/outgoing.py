"""Posts to URLs that users name, without letting them turn inward.

https only; the name is resolved once, every address that it has must be public, and the connection is made to one of
these; no redirects; one deadline for all of it but resolving; answers are cut.
"""

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

PORTS: Final = (443, 8443)
POST_SECONDS: Final = 30.0  # from the first address that is connected to until the answer is there
CONNECT_SECONDS: Final = 5.0  # to one address
MOST_ADDRESSES: Final = 4  # that are connected to, one behind the other
LONGEST_ANSWER: Final = 2_000  # bytes that are read of one
# Addresses that stand for others: what they stand for is not looked at.
TRANSLATED: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96"),  # IPv4 within IPv6
        *("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),  # NAT64, Teredo, 6to4
    )
)

Resolve = Callable[[str, int], Sequence[str]]


class ForbiddenTargetError(Exception):
    """A URL that must not be asked; its text says why."""


class NoAnswerError(Exception):
    """A connection stood, and no answer came: whether the other side took the post nobody knows."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes  # its beginning


def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_address(text: str) -> None:
    """Raises `ForbiddenTargetError` for an address that is not a public one of a single machine."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        raise ForbiddenTargetError("its name leads to no address") from None
    is_translated = address.version == 6 and any(address in network for network in TRANSLATED)
    is_local = address.version == 6 and address.is_site_local
    if "%" in text or is_translated or is_local or not address.is_global or address.is_multicast or address.is_reserved:
        raise ForbiddenTargetError("its name leads to an address that is not public")


class Outgoing:
    """Posts; `inner_hosts` are names inside the owner's own network that may be asked all the same."""

    def __init__(self, inner_hosts: Collection[str] = (), resolve: Resolve = resolve_host) -> None:
        self._inner_hosts = frozenset(inner_hosts)
        self._resolve = resolve

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Posts a body. Raises `ForbiddenTargetError`, `OSError` where nothing was asked, and `NoAnswerError`."""
        host, port, target = self._split(url)
        addresses = self._resolve(host, port)
        if not addresses:
            raise ForbiddenTargetError("its name leads to no address")
        if host not in self._inner_hosts:
            for address in addresses:
                check_address(address)
        connection = _Pinned(host, port, addresses[:MOST_ADDRESSES])
        try:
            connection.connect()
            try:
                connection.request("POST", target, body=body, headers=dict(headers))
                response = connection.getresponse()
                found = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, found, response.read(LONGEST_ANSWER))
            except (OSError, http.client.HTTPException) as failure:
                raise NoAnswerError(type(failure).__name__) from failure
        finally:
            connection.close()

    def _split(self, url: str) -> tuple[str, int, str]:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or 443
        except ValueError:
            raise ForbiddenTargetError("it is no URL") from None
        if parts.scheme != "https" or not host or parts.username is not None or parts.password is not None:
            raise ForbiddenTargetError("it is no https URL without a user")
        if any(ord(character) <= 32 or ord(character) > 126 for character in url) or "\\" in url:
            raise ForbiddenTargetError("it has characters that a URL can't have")
        if port not in PORTS and host not in self._inner_hosts:
            raise ForbiddenTargetError(f"its port is none of {', '.join(map(str, PORTS))}")
        return host.rstrip("."), port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class _Timed(ssl.SSLSocket):
    """A socket each of whose steps has only the time that is left of all."""

    deadline = 0.0

    def recv_into(self, *given: Any) -> int:
        """Reads what is there."""
        self.settimeout(_find_left(self.deadline))
        return super().recv_into(*given)

    def send(self, *given: Any) -> int:
        """Sends some of it."""
        self.settimeout(_find_left(self.deadline))
        return super().send(*given)


def _find_left(deadline: float) -> float:
    """Seconds. Raises `TimeoutError` where there are none."""
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


class _Pinned(http.client.HTTPSConnection):
    """A connection to the first of the addresses that were checked to answer, as the name that they were found by."""

    def __init__(self, host: str, port: int, addresses: Sequence[str]) -> None:
        self._tls = ssl.create_default_context()
        self._tls.sslsocket_class = _Timed
        super().__init__(host, port, context=self._tls)
        self._addresses = addresses
        self._deadline = monotonic() + POST_SECONDS

    def connect(self) -> None:
        """Connects to an address; the certificate must be the name's. Raises `OSError`."""
        plain = self._connect_plainly()
        try:
            plain.settimeout(_find_left(self._deadline))  # for the whole handshake
            timed: Any = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise
        timed.deadline = self._deadline
        self.sock = timed

    def _connect_plainly(self) -> socket.socket:
        """Where there is no way to IPv6, say, the next address is tried. Raises the last `OSError`."""
        for last, address in enumerate(self._addresses, 1 - len(self._addresses)):
            try:
                seconds = min(CONNECT_SECONDS, _find_left(self._deadline))
                return socket.create_connection((address, self.port), seconds)
            except OSError:
                if last == 0:
                    raise
        raise AssertionError("unreachable")
