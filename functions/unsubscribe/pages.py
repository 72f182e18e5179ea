"""Small pages, without scripts, which need nothing from elsewhere."""

from html import escape
from typing import Final

from common.responses import Response
from common.suppression_table import ALL

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex"><title>{title}</title><style>
body{{font:17px/1.5 system-ui,sans-serif;max-width:34em;margin:12vh auto;padding:0 1.5em;color:#1c2430}}
button{{font:inherit;padding:.5em 1em;margin:0 .5em .5em 0;cursor:pointer}}
</style></head><body><main><h1>{title}</h1>{content}</main></body></html>
"""
FORM: Final = """<form method="post"><p>You get these mails because you use our service.</p>
<button>No more about “{topic}”</button> <button name="scope" value="all">No more mails at all</button></form>"""
HEADERS: Final = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def show_form(topic: str) -> Response:
    """The page that asks."""
    return _show(200, "Unsubscribe", FORM.format(topic=escape(topic)))


def show_done(topic: str) -> Response:
    """It is done."""
    of = "mails from us" if topic == ALL else f"mails about “{escape(topic)}”"
    return _show(200, "You are unsubscribed", f"<p>You get no more {of}.</p>")


def show_problem(status: int, text: str) -> Response:
    """It is not."""
    return _show(status, "Unsubscribe", f"<p>{escape(text)}</p>")


def _show(status: int, title: str, content: str) -> Response:
    return {"statusCode": status, "headers": HEADERS, "body": PAGE.format(title=title, content=content)}
