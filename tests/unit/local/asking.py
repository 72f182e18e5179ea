"""Requests as the stack's servers get them."""

from collections.abc import Mapping
from email.message import Message

from local.web import Request


def ask(method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
    """A request from this machine."""
    message = Message()
    for name, value in {"Host": "127.0.0.1:1", **(headers or {})}.items():
        message[name] = value
    return Request(method=method, target=target, headers=message, body=body, client="127.0.0.1", protocol="HTTP/1.1")
