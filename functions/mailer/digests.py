"""Digests as mails to the team: counts, a table, and a link to the console."""

from datetime import datetime
from email.message import EmailMessage
from html import escape
from typing import Any, Final

from common.addresses import read_address
from mailer.mime import POLICY, clean_line, set_parts
from mailer.wording import list_entries, name_counts, name_period

STYLE: Final = "font:15px/1.5 system-ui,sans-serif;color:#1c2430"
CELL: Final = "padding:4px 12px 4px 0;border-bottom:1px solid #dde3ea;text-align:left"


def build_digest(body: dict[str, Any], sender: str, console: str) -> EmailMessage:
    """The mail; `console` is the address of the console, or nothing. Raises `AddressError`."""
    notification = body["notification"]
    link = f"{console}#/cohorts/{notification['cohort']}" if console else ""
    address = read_address(sender)
    message = EmailMessage(policy=POLICY)
    message["Date"] = datetime.fromisoformat(body["created_at"])
    message["From"] = address
    message["To"] = ", ".join(map(read_address, notification["channel"]["email"]["to"]))
    message["Subject"] = clean_line(f"{notification['cohort_title']}: {name_counts(body)}")
    message["Message-ID"] = f"<{body['id']}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    set_parts(message, _write_text(body, link), _write_html(body, link))
    return message


def _write_text(body: dict[str, Any], link: str) -> str:
    parts = [f"{body['notification']['cohort_title']}: {name_counts(body)}", name_period(body)]
    for heading, name in (("Entered", "added"), ("Left", "removed")):
        if lines := list_entries(body[name]):
            parts.append("\n".join([f"{heading}:", *(f"- {line}" for line in lines)]))
    if body["cut"]:
        parts.append("There are more than are shown here.")
    if link:
        parts.append(link)
    return "\n\n".join(parts) + "\n"


def _write_html(body: dict[str, Any], link: str) -> str:
    title = f"{escape(body['notification']['cohort_title'])}: {escape(name_counts(body))}"
    parts = [f'<div style="{STYLE}"><h1 style="font-size:20px">{title}</h1><p>{escape(name_period(body))}</p>']
    for heading, name in (("Entered", "added"), ("Left", "removed")):
        if entries := body[name]:
            parts.append(f'<h2 style="font-size:16px">{heading}</h2>{_write_table(entries)}')
    if body["cut"]:
        parts.append("<p>There are more than are shown here.</p>")
    if link:
        parts.append(f'<p><a href="{escape(link)}">Look at the cohort</a></p>')
    return "".join(parts) + "</div>"


def _write_table(entries: list[dict[str, Any]]) -> str:
    names = list(entries[0]["fields"])
    head = "".join(f'<th style="{CELL}">{escape(name)}</th>' for name in ["who", "when (UTC)", *names])
    rows = []
    for entry in entries:
        at = (entry.get("entered_at") or entry.get("exited_at") or "")[:19].replace("T", " ")
        values = [entry["id"], at, *("" if entry["fields"][name] is None else entry["fields"][name] for name in names)]
        rows.append("<tr>" + "".join(f'<td style="{CELL}">{escape(str(value))}</td>' for value in values) + "</tr>")
    return f'<table style="border-collapse:collapse"><tr>{head}</tr>{"".join(rows)}</table>'
