"""The pages of the inbox, in the console's look, without scripts. Whatever a mail holds is put in as text.

A mail's HTML is a page of its own in a frame: its policy loads nothing and gives it a sandbox without scripts, forms
and an origin, also where somebody opens it by itself.
"""

from collections.abc import Iterable, Sequence
from html import escape

from console.files import find_version
from local.mail_links import rewrite
from local.ses import Mail
from local.web import Response

INBOX = "/local/mail"
MOST_SHOWN = 200
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
HEADERS = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
STYLE = """
.mail { width: 100%; height: 32rem; border: 1px solid var(--line); border-radius: 8px; background: #fff; }
.actions { display: flex; flex-wrap: wrap; align-items: center; gap: .6rem 1.2rem; margin: .8rem 0; }
.actions form { margin: 0; }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{title} - Mailwake</title>
<link rel="icon" href="/console/static/{version}/icon.svg">
<link rel="stylesheet" href="/console/static/{version}/style.css">
<link rel="stylesheet" href="{inbox}/style.css"></head>
<body><header><a class="home" href="/console">Mailwake</a><nav><a href="{inbox}"{current}>Sent mails</a></nav>
<span class="who"><span>local stack</span></span></header><main>{content}</main></body></html>
"""
TELLING = {"Bounce": "bad", "Complaint": "bad", "Open": "good", "Click": "good"}


def show_list(mails: Sequence[Mail]) -> Response:
    """All mails that the stack sent, the newest first."""
    if not mails:
        content = "<h1>Sent mails</h1><p>None yet: what the stack sends stays here, and reaches nobody.</p>"
        return _answer("Sent mails", content, current=True)
    rows = "".join(_write_row(mail) for mail in mails[:MOST_SHOWN])
    more = f'<p class="hint">The newest {MOST_SHOWN} of {len(mails):,}.</p>' if len(mails) > MOST_SHOWN else ""
    heads = "".join(
        f'<th scope="col">{name}</th>' for name in ("Time (UTC)", "Subject", "To", "From", "Template", "SES told")
    )
    table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    content = f'<div class="title"><h1>Sent mails</h1><a href="{INBOX}">Look again</a></div>{table}{more}'
    return _answer("Sent mails", content, current=True)


def _write_row(mail: Mail) -> str:
    link = f'<a href="{place(mail)}">{escape(mail.header("subject")) or "(no subject)"}</a>'
    cells = [
        f'<span class="utc">{_write_time(mail)}</span>',
        link,
        escape(", ".join(mail.recipients)),
        escape(mail.header("from")),
        escape(find_template(mail)),
        _write_badges(mail),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def show_mail(mail: Mail, note: str = "") -> Response:
    """One mail: its HTML in a frame, its text, its headers, and what can be done with it."""
    subject = mail.header("subject") or "(no subject)"
    html, text = mail.part("html"), mail.part("plain")
    facts = {
        "From": mail.header("from"),
        "To": ", ".join(mail.recipients),
        "Time (UTC)": _write_time(mail),
        "Template": find_template(mail),
        "Notification": mail.tags.get("mailwake-notification", ""),
        "SES's id": mail.id,
        "Configuration set": mail.configuration_set,
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items() if value)
    unsubscribe = (
        f'<form method="post" action="{place(mail)}/unsubscribe"><button>Unsubscribe by one click</button></form>'
        if mail.header("list-unsubscribe")
        else ""
    )
    frame = (
        f'<section><h2>HTML</h2><iframe class="mail" title="The mail as HTML" src="{place(mail)}/html" '
        'sandbox="allow-popups allow-popups-to-escape-sandbox"></iframe></section>'
        if html
        else ""
    )
    content = (
        f'<p><a href="{INBOX}">All mails</a></p>{_write_note(note)}<div class="title"><h1>{escape(subject)}</h1>'
        f'<span>{_write_badges(mail)}</span></div><dl class="facts">{listed}</dl>'
        f'<div class="actions">{unsubscribe}<a href="{place(mail)}/raw">As it was sent (.eml)</a></div>{frame}'
        f"<section><h2>Text</h2><pre>{escape(text)}</pre></section>"
        f"<section><details><summary>Headers</summary><pre>{escape(write_headers(mail))}</pre></details></section>"
        f"{_write_links(mail, html)}"
    )
    return _answer(subject, content)


def _write_links(mail: Mail, html: str) -> str:
    """The links of the HTML once more, for whoever wants to see where they lead before."""
    links = rewrite(html, str)[1]
    if not links:
        return ""
    items = "".join(f'<li><a href="{place(mail)}/click/{n}">{escape(link)}</a></li>' for n, link in enumerate(links))
    return f"<section><details><summary>Links</summary><ol>{items}</ol></details></section>"


def show_html(mail: Mail) -> Response:
    """The HTML of a mail, for the frame."""
    html, _ = rewrite(mail.part("html"), lambda number: f"{place(mail)}/click/{number}")
    content = html.encode("utf-8", "replace")
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", FRAME_POLICY), *HEADERS]
    return Response(headers=headers, body=content)


def show_raw(mail: Mail) -> Response:
    """The mail as SES got it, to be saved."""
    name = f'attachment; filename="{mail.id}.eml"'
    headers = [("Content-Type", "message/rfc822"), ("Content-Disposition", name), *HEADERS]
    return Response(headers=headers, body=mail.raw)


def show_style() -> Response:
    """What the pages need beside the console's style."""
    return Response(headers=[("Content-Type", "text/css; charset=utf-8"), *HEADERS], body=STYLE.encode())


def show_problem(status: int, text: str) -> Response:
    """What is asked for can't be had."""
    return _answer("Sent mails", f'<h1>{escape(text)}</h1><p><a href="{INBOX}">All mails</a></p>', status=status)


def redirect(target: str) -> Response:
    """Leads elsewhere; the target is ASCII."""
    return Response(status=303, headers=[("Location", target), *HEADERS])


def place(mail: Mail) -> str:
    """The address of a mail; SES's ids are letters, digits and dashes."""
    return f"{INBOX}/{mail.id}"


def find_template(mail: Mail) -> str:
    """The name of the template that a mail was made from."""
    return mail.tags.get("mailwake-template", "")


def write_headers(mail: Mail) -> str:
    """The headers as they were sent."""
    return mail.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0].decode(errors="replace")


def _write_time(mail: Mail) -> str:
    return f"{mail.at:%Y-%m-%d %H:%M:%S}"


def _write_badges(mail: Mail) -> str:
    words: Iterable[str] = dict.fromkeys(word for word in mail.told if word != "Send")
    return " ".join(f'<span class="badge {TELLING.get(word, "")}">{word.lower()}</span>' for word in words)


def _write_note(note: str) -> str:
    return f'<p class="note" role="status">{escape(note)}</p>' if note else ""


def _answer(title: str, content: str, *, status: int = 200, current: bool = False) -> Response:
    page = PAGE.format(
        title=escape(title),
        version=find_version(),
        inbox=INBOX,
        current=' aria-current="page"' if current else "",
        content=content,
    )
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", POLICY), *HEADERS]
    return Response(status=status, headers=headers, body=page.encode("utf-8", "replace"))
