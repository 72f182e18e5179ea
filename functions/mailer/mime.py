"""A behavioural mail as bytes: both parts, and headers that nobody's data can add to.

Sources: RFC 5322 and 2045 to 2047 (form), RFC 8058 (unsubscribing by one click), RFC 6376, 5.4 (what DKIM signs: each
header here is there once, so that all of them can be).
"""

import re
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final, NamedTuple

from mailer.templates import Rendered

_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}\Z")
_DOMAIN = re.compile(r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9-]{2,63}\Z")
_CONTROLS: Final = dict.fromkeys({*range(32), 127} - {ord("\n"), ord("\t")})
_WHOLE: Final = ("list-unsubscribe", "message-id")  # can't be folded, and are no text that may be encoded
LONGEST_ADDRESS: Final = 320  # characters; RFC 5321, 4.5.3.1
LONGEST_LINE: Final = 998  # bytes; RFC 5322, 2.1.1
SHORT_NAME: Final = 50  # characters of a sender that are quoted rather than encoded
LONGEST_SUBJECT: Final = 500  # characters
# IDNA 2003, which Python has, makes other domains of these than the IDNA 2008 of registries does.
_DEVIATING: Final = frozenset("\u00df\u1e9e\u03c2\u200c\u200d")


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
    """Leaves long URLs in one piece, where Python would encode them as words, and no header's first line empty.

    Words that are not ASCII are encoded as a whole: Python's own mixture of some that are and some that are not loses
    spaces, and what it makes of a long name no strict reader takes.
    """

    def _fold(self, name: str, value: Any, refold_binary: bool = False) -> str:  # noqa: FBT001, FBT002 (Python's own)
        kind = name.lower()
        if kind in _WHOLE:
            return f"{name}: {value}\r\n"
        if kind == "subject" and not value.isascii():
            return f"{name}: {_encode_words(name, value)}\r\n"
        if kind == "from" and (display := value.addresses[0].display_name):
            is_short = display.isascii() and len(display) <= SHORT_NAME
            words = _quote(display) if is_short else _encode_words(name, display)
            return f"{name}: {words}\r\n <{value.addresses[0].addr_spec}>\r\n"
        begin = f"{name}:\r\n "
        folded = str(super()._fold(name, value, refold_binary))  # type: ignore[misc]
        if not folded.startswith(begin):
            return folded
        # A first line without anything is allowed, but not every server bears it: the next one is to fit behind it.
        narrow = self.clone(max_line_length=(self.max_line_length or 78) - len(begin))
        again = str(super(_Policy, narrow)._fold(name, value, refold_binary))  # type: ignore[misc]
        return again.replace(begin, f"{name}: ", 1) if again.startswith(begin) else again


def _encode_words(name: str, text: str) -> str:
    """A text as encoded words, as many of them as it takes (RFC 2047)."""
    return Header(text, "utf-8", maxlinelen=75, header_name=name).encode(linesep="\r\n")


def _quote(text: str) -> str:
    """A text as a quoted string (RFC 5322, 3.2.4)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


POLICY: Final = _Policy(linesep="\r\n", cte_type="7bit", max_line_length=76)


def read_address(text: str) -> str:
    """An address as SES takes it, names of domains in ASCII. Raises `AddressError`, without the address."""
    local, _, domain = text.strip().rpartition("@")
    try:
        is_sound = len(text) <= LONGEST_ADDRESS and _DEVIATING.isdisjoint(domain)
        host = domain.encode("idna").decode() if is_sound else ""
    except UnicodeError:
        host = ""
    if not _LOCAL.match(local) or local[0] == "." or local[-1] == "." or ".." in local or not _DOMAIN.match(host):
        raise AddressError("the address can't be mailed: it is malformed, or not ASCII before the @")
    return f"{local}@{host}"


def build_mail(rendered: Rendered, envelope: Envelope) -> bytes:
    """The mail. Raises `AddressError`."""
    sender = read_address(envelope.sender)
    unsubscribe = f"<{envelope.unsubscribe_url}>"
    if len(f"List-Unsubscribe: {unsubscribe}".encode()) > LONGEST_LINE:
        raise AddressError("the address can't be mailed: it is too long for a link to unsubscribe")
    message = EmailMessage(policy=POLICY)
    message["Date"] = envelope.at
    message["From"] = _name(sender, envelope.sender_name)
    message["To"] = _name(read_address(envelope.to), "")
    if envelope.reply_to:
        message["Reply-To"] = _name(read_address(envelope.reply_to), "")
    message["Subject"] = clean_line(rendered.subject)
    message["Message-ID"] = f"<{envelope.id}@{sender.rpartition('@')[2]}>"
    message["List-Unsubscribe"] = unsubscribe
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    set_parts(message, rendered.text, rendered.html)
    return message.as_bytes()


def set_parts(message: EmailMessage, text: str, html: str) -> None:
    """The content, for programs that show HTML and for those that don't."""
    message.set_content(clean(text))
    message.add_alternative(clean(html), subtype="html")
    for part in message.iter_parts():
        del part["MIME-Version"]  # it is the whole mail's


def clean_line(text: str) -> str:
    """What a header may say: one line, without control characters and signs that turn the direction of others.

    What looks like an encoded word (RFC 2047) is taken apart: readers would decode what nobody has encoded.
    """
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line.replace("=?", "= ?")[:LONGEST_SUBJECT]


def _name(address: str, name: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(clean_line(name), local, domain)


def clean(text: str) -> str:
    """Lines that end in one way, without control characters and halves of characters."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return lines.translate(_CONTROLS).encode(errors="replace").decode()
