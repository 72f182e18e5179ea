"""A behavioural mail as bytes: both parts, and headers that nobody's data can add to.

Sources: RFC 5322 and 2045 to 2047 (form), RFC 8058 (unsubscribing by one click), RFC 6376, 5.4 (what DKIM signs: each
header here is there once, so that all of them can be).
"""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final, NamedTuple

from mailer.templates import Rendered

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z")
_WHOLE: Final = ("list-unsubscribe", "message-id")  # can't be folded, and are no text that may be encoded


class AddressError(ValueError):
    """An address to which no mail can be sent."""


class Envelope(NamedTuple):
    """All of a mail but its content."""

    id: str  # of the outbox, of letters, digits and dashes
    sender: str
    sender_name: str  # or nothing
    to: str
    reply_to: str  # or nothing
    unsubscribe_url: str  # https
    at: datetime


class _Policy(EmailPolicy):
    """Leaves long URLs in one piece, where Python would encode them as words."""

    def _fold(self, name: str, value: Any, refold_binary: bool = False) -> str:  # noqa: FBT001, FBT002 (Python's own)
        if name.lower() in _WHOLE:
            return f"{name}: {value}\r\n"
        return str(super()._fold(name, value, refold_binary))  # type: ignore[misc]


POLICY: Final = _Policy(linesep="\r\n", cte_type="7bit", max_line_length=76)


def read_address(text: str) -> str:
    """An address as SES takes it, names of domains in ASCII. Raises `AddressError`, without the address."""
    local, _, domain = text.strip().rpartition("@")
    try:
        host = domain.encode("idna").decode()
    except UnicodeError:
        host = ""
    if not _LOCAL.match(local) or local[0] == "." or local[-1] == "." or ".." in local or not _DOMAIN.match(host):
        raise AddressError("the address can't be mailed: it is malformed, or not ASCII before the @")
    return f"{local}@{host}"


def build_mail(rendered: Rendered, envelope: Envelope) -> bytes:
    """The mail. Raises `AddressError`."""
    sender = read_address(envelope.sender)
    message = EmailMessage(policy=POLICY)
    message["Date"] = envelope.at
    message["From"] = _name(sender, envelope.sender_name)
    message["To"] = _name(read_address(envelope.to), "")
    if envelope.reply_to:
        message["Reply-To"] = _name(read_address(envelope.reply_to), "")
    message["Subject"] = rendered.subject
    message["Message-ID"] = f"<{envelope.id}@{sender.rpartition('@')[2]}>"
    message["List-Unsubscribe"] = f"<{envelope.unsubscribe_url}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(clean(rendered.text))
    message.add_alternative(clean(rendered.html), subtype="html")
    return message.as_bytes()


def _name(address: str, name: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address("".join(each for each in name if each.isprintable()), local, domain)


def clean(text: str) -> str:
    """Lines that end in one way, without control characters and halves of characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    kept = "".join(each for each in lines if each in "\n\t" or (each >= " " and each != "\x7f"))
    return kept.encode(errors="replace").decode()
