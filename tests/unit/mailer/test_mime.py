"""Mails are well-formed whatever data they hold."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default as modern

import pytest

from common.addresses import AddressError, read_address
from mailer.mime import Envelope, build_mail
from mailer.templates import Rendered
from mailer.unsubscribing import Subscription, make_token, read_keys, read_token

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "https://api.example.com/unsubscribe/" + "a" * 900
ENVELOPE = Envelope(
    "mail-1-2", "team@example.com", "Jürgen Müller, Größenwahn GmbH", "ada@example.com", "help@example.com", URL, NOW
)
RENDERED = [
    Rendered("Grüße 🎉 " + "lang " * 40 + "e", "<p>ünïcode 🎉</p>\n" * 200, "ünïcode 🎉\n.\nFrom me\n" + "long " * 500),
    Rendered("x" * 250, "a" * 5_000, "b" * 5_000),
    Rendered("日本語の件名" * 20, "日本語" * 1_000, "日本語" * 1_000),
    Rendered("=?utf-8?q?trick?=", "\x00\x07a\r\rb\ud800", "tab\there = equals=3D \r\n. \n"),
]


@pytest.mark.parametrize("rendered", RENDERED)
def test_mail_is_well_formed(rendered: Rendered) -> None:
    """It is ASCII, its lines are short and end alike, and each header is there once, so that DKIM can cover it."""
    raw = build_mail(rendered, ENVELOPE)
    raw.decode("ascii")
    assert f"\r\nList-Unsubscribe: <{URL}>\r\n".encode() in raw, "mail programs don't decode it"
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw)
    head, _, body = raw.partition(b"\r\n\r\n")
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert max(len(line) for line in head.split(b"\r\n") if not line.startswith(b"List-Unsubscribe:")) <= 78
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert len(names) == len(set(names))
    assert {
        *(b"date", b"from", b"to", b"reply-to", b"subject", b"message-id", b"mime-version", b"content-type"),
        *(b"list-unsubscribe", b"list-unsubscribe-post"),
    } == set(names)


@pytest.mark.parametrize("rendered", RENDERED[:3])
def test_mail_says_what_was_rendered(rendered: Rendered) -> None:
    """Read back by another parser's rules: both parts, names and subject as they were."""
    message = message_from_bytes(build_mail(rendered, ENVELOPE), policy=modern)
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == rendered.text.rstrip("\n")
    assert html.get_content().replace("\r\n", "\n").rstrip("\n") == rendered.html.rstrip("\n")
    assert message["Subject"] == rendered.subject.strip()
    assert message["From"].addresses[0].display_name == ENVELOPE.sender_name
    assert message["From"].addresses[0].addr_spec == "team@example.com"
    assert message["To"].addresses[0].addr_spec == "ada@example.com"
    assert message["Message-ID"] == "<mail-1-2@example.com>"
    assert message["Date"].datetime == NOW
    assert message["List-Unsubscribe"] == f"<{URL}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_trick_in_the_subject_stays_text() -> None:
    """What looks like an encoded word is no header of its own."""
    message = message_from_bytes(build_mail(RENDERED[3], ENVELOPE), policy=modern)
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    "address",
    [
        *("ada", "@example.com", "ada@", "ada@example", "a b@example.com", "ada@exa mple.com", "a..b@example.com"),
        *("ada@example.com\r\nBcc: bob@example.com", "ada@example.com,bob@example.com", "<ada@example.com>", ""),
        *("ädä@example.com", '"a b"@example.com', "ada@example.com\x00", ".ada@example.com", "ada@-example.com"),
    ],
)
def test_nothing_is_sent_to_what_is_no_address(address: str) -> None:
    """Nor to several, nor into a header."""
    with pytest.raises(AddressError):
        build_mail(RENDERED[0], ENVELOPE._replace(to=address))


def test_domains_are_named_in_ascii() -> None:
    """As the domain name system knows them."""
    assert read_address("ada@bücher.example") == "ada@xn--bcher-kva.example"


def test_name_adds_no_header() -> None:
    """A line's end in the sender's name is left out."""
    raw = build_mail(RENDERED[1], ENVELOPE._replace(sender_name='A"\r\nBcc: b@example.com'))
    assert b"\r\nBcc" not in raw
    assert message_from_bytes(raw, policy=modern)["From"].addresses[0].addr_spec == "team@example.com"


def test_token_tells_what_was_signed() -> None:
    """By any of the live keys, and by no other; nor where anything of it is changed."""
    old, new = read_keys('{"old": "a", "new": "b"}')
    subscription = Subscription("ädä@example.com", "news", "mail-1-2")
    token = make_token(subscription, [old, new])
    assert read_token(token, [new]) == subscription
    assert read_token(make_token(subscription, [old]), [old, new]) == subscription
    assert read_token(token, [old]) is None
    assert read_token("A" + token[1:], [new]) is None
    for wrong in ("", ".", token[:-4], token + "AAAA", token.partition(".")[0], "ä.ö", "a" * 5_000):
        assert read_token(wrong, [new]) is None, wrong


@pytest.mark.parametrize("secret", ["", "[]", "{}", '{"a": 1}', '{"a": ""}'])
def test_secret_without_keys_is_refused(secret: str) -> None:
    """Nothing is signed with nothing, and the error does not tell the secret."""
    with pytest.raises(ValueError, match="the secret of unsubscribing is no JSON"):
        read_keys(secret)
