"""Mails hold against other programs' readers whatever anybody is called: a strict parser in Rust, and DKIM."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import strict
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fast_mail_parser import parse_email
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.addresses import AddressError, read_address
from mailer.digests import build_digest
from mailer.mime import POLICY, Envelope, build_mail, clean, clean_line
from mailer.templates import Rendered, make_context, render

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
URL = "https://api.example.com/unsubscribe/" + "a" * 300
TEMPLATE = {
    "subject": "{{ user.traits.name }}",
    "html": "<p title=\"{{ user.traits.name }}\">{{ user.traits.name }}</p><a href='{{ unsubscribe_url }}'>no more</a>",
    "text": "{{ user.traits.name }}\n{{ unsubscribe_url }}\n",
    "topic": "news",
}
ONCE = {
    *("date", "from", "to", "subject", "message-id", "mime-version", "content-type", "reply-to"),
    *("list-unsubscribe", "list-unsubscribe-post"),
}
DIGEST_ONCE = {"date", "from", "to", "subject", "message-id", "mime-version", "content-type", "auto-submitted"}
NAMES = st.one_of(
    st.text(st.characters(codec=None, categories=None), max_size=300),
    st.text(
        '\r\n\u2028\u2029\x00\x07\x1b\x85\u202e\u2066\ud800\udfffa=?_ ,:;<>"@\\üß日\U0001f469\u200d\U0001f4bb',
        max_size=80,
    ),
)
HOSTILE = (
    "a\r\nBcc: eve@example.com\r\n\r\nbody",
    "=?utf-8?q?=0D=0ABcc:_eve=40example.com?=",
    "\u202e\u0435\u0432\u0410",
    "日本語" * 3_400,
)


def check_form(raw: bytes, names: set[str], domain: str) -> Any:
    """What RFC 5322 and 2045 to 2047 ask of the bytes; the mail as a strict reader of Python's has it."""
    raw.decode("ascii")
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), "lines end in CRLF"
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\0" not in raw
    head, _, _ = raw.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert all(re.fullmatch(rb"[A-Za-z-]+: .*", line) for line in lines)
    found = [line.partition(b":")[0].decode().lower() for line in lines]
    assert sorted(found) == sorted(names), "each header is there once, and no other"
    message = message_from_bytes(raw, policy=strict)
    assert message["Message-ID"].endswith(f"@{domain}>")
    assert message["MIME-Version"] == "1.0"
    assert message["Date"].datetime == AT
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    assert {part.get_content_charset() for part in parts} <= {"utf-8", "us-ascii"}
    for part in (message, *parts):
        assert not part.defects
        assert all(not header.defects for header in part.values())
    return message


def make_mail(name: str, sender_name: str = "") -> tuple[Rendered, bytes]:
    """A mail to somebody of this name, and what it says."""
    body: dict[str, Any] = {"notification": {"cohort": "one", "cohort_title": "One"}}
    body["user"] = {"id": "u", "address": "ada@example.com", "traits": {"name": name}}
    envelope = Envelope("mail-1-2", "team@bücher.example", sender_name, "ada@example.com", "help@example.com", URL, AT)
    rendered = render(TEMPLATE, make_context(body, URL))
    return rendered, build_mail(rendered, envelope)


@settings(max_examples=300, deadline=None)
@given(NAMES.filter(lambda name: clean_line(name) != ""), NAMES)
@example("Ada", "Jürgen Müller, Größenwahn GmbH")
@example(
    "0 " + "\u00a1" * 60,
    "0 000000\u00a1\u00a100000000\u00a1 \u00a1\u00a1\u00a1\u00a1\u00a1\u00ae\u00a1\u5580 0",
)
@example('"\\\\', '"The \\ team"')
@example("w" * 200, "w" * 200)
@example(HOSTILE[0], HOSTILE[0])
@example(HOSTILE[1], HOSTILE[1])
@example(HOSTILE[2], HOSTILE[2])
@example(HOSTILE[3], HOSTILE[3])
def test_mail_is_well_formed_whatever_names_hold(name: str, sender_name: str) -> None:
    """No name adds a header, a line or a part; a parser in Rust that repairs nothing reads what was rendered."""
    rendered, raw = make_mail(name, sender_name)
    message = check_form(raw, ONCE, "xn--bcher-kva.example")
    assert message["From"].addresses[0].addr_spec == "team@xn--bcher-kva.example"
    assert [each.addr_spec for each in message["To"].addresses] == ["ada@example.com"]
    assert message["List-Unsubscribe"] == f"<{URL}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    read = parse_email(raw, strict=True)
    assert read.warnings == []
    # Python's own reader puts spaces between the encoded words of a name, against RFC 2047, 6.2.
    assert read.from_ is not None
    assert (read.from_.display_name or "") == clean_line(sender_name)
    assert read.subject == message["Subject"] == clean_line(rendered.subject)
    (text,), (html,) = read.text_plain, read.text_html
    assert text.replace("\r\n", "\n").rstrip("\n") == clean(rendered.text).rstrip("\n")
    assert URL in html
    assert "eve@example.com" not in {address for _, address in _list_addresses(read)}


def _list_addresses(read: Any) -> list[tuple[str, str]]:
    return [(one.display_name or "", one.address) for one in (*read.to, *read.cc, *read.bcc)]


@settings(max_examples=200, deadline=None)
@given(NAMES, NAMES)
@example(HOSTILE[0], HOSTILE[3])
def test_digest_is_well_formed_whatever_it_tells(title: str, value: str) -> None:
    """The same of what the team gets."""
    entry = {"id": value, "entered_at": "2026-11-21T11:50:00.000Z", "fields": {"name": value}, "cause": {}}
    body = {
        "id": "ntf-1-2-3",
        "created_at": "2026-11-21T12:00:00.000Z",
        "notification": {
            "cohort": "one",
            "cohort_title": title,
            "channel": {"email": {"to": ["a@example.com", "b@bücher.example"]}},
        },
        "period": {"from": "2026-11-21T11:45:00.000Z", "to": "2026-11-21T12:00:00.000Z"},
        "counts": {"added": 1, "removed": 0, "members": 7},
        "added": [entry],
        "removed": [],
        "cut": False,
    }
    raw = build_digest(body, "team@example.com", "https://a.example/console").as_bytes()
    message = check_form(raw, DIGEST_ONCE, "example.com")
    assert [each.addr_spec for each in message["To"].addresses] == ["a@example.com", "b@xn--bcher-kva.example"]
    assert parse_email(raw, strict=True).warnings == []


@pytest.mark.parametrize("canonical", [(b"simple", b"simple"), (b"relaxed", b"relaxed")])
@pytest.mark.parametrize("name", ["Ada", *HOSTILE])
def test_all_headers_can_be_signed(name: str, canonical: tuple[bytes, bytes]) -> None:
    """DKIM's signature of each header, over-signed so that none can be added, holds; a second one of any breaks it."""
    _, raw = make_mail(name, "Größenwahn, GmbH")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    names = [name.encode() for name in ONCE for _ in range(2)]
    signature = dkim.sign(raw, b"s", b"example.com", pem, include_headers=names, canonicalize=canonical)
    assert dkim.verify(signature + raw, dnsfunc=lambda *_, **__: record)
    for header in ONCE:
        added = f"{header}: x\r\n".encode() + raw
        assert not dkim.verify(signature + added, dnsfunc=lambda *_, **__: record), header


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(codec=None, categories=None), max_size=400) | st.from_regex(r"\A[\w.+-]+@[\w.-]+\Z"))
@example("ada@straße.example")
@example("ada@" + "ü" * 300 + ".example")
def test_an_address_is_ascii_or_refused(text: str) -> None:
    """Nobody needs SMTPUTF8, and no domain is taken for another: what IDNA's versions differ about is refused."""
    try:
        address = read_address(text)
    except AddressError:
        return
    address.encode("ascii")
    assert len(address) <= 320
    assert address.count("@") == 1
    assert not re.search(r"[\s\x00-\x20<>,;:\"()\[\]\\\x7f]", address)
    assert "ß" not in text.rpartition("@")[2]


def test_link_that_no_line_holds_is_refused() -> None:
    """A line has up to 998 bytes, and a link can't be folded."""
    envelope = Envelope("mail-1", "a@example.com", "", "b@example.com", "", "https://a.example/" + "x" * 970, AT)
    body = {"notification": {"cohort": "one", "cohort_title": "One"}, "user": {"traits": {"name": "Ada"}}}
    with pytest.raises(AddressError, match="too long"):
        build_mail(render(TEMPLATE, make_context(body, URL)), envelope)
    assert POLICY.linesep == "\r\n"
