"""A behavioural mail as bytes: both parts, and headers that nobody's data can add to.

Sources: RFC 5322 and 2045 to 2047 (form), RFC 8058 (unsubscribing by one click), RFC 6376, 5.4 (what DKIM signs: each
header here is there once, so that all of them can be).
"""

from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any, Final, NamedTuple

from common.addresses import AddressError, read_address
from mailer.templates import Rendered

_CONTROLS: Final = dict.fromkeys({*range(32), 127} - {ord("\n"), ord("\t")})
_WHOLE: Final = ("list-unsubscribe", "message-id")  # can't be folded, and are no text that may be encoded
LONGEST_LINE: Final = 998  # bytes; RFC 5322, 2.1.1
SHORT_NAME: Final = 50  # characters of a sender that are quoted rather than encoded
LONGEST_SUBJECT: Final = 500  # characters


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
