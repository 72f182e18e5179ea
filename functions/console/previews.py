"""A mail's HTML as a document of its own, for the frame in which the console shows it.

The console's own policy would refuse a mail's inline styles, and a document that a script makes inherits it: so the
page posts the HTML here, and gets it back as a document in which nothing runs and which loads nothing.
"""

from typing import Final

from common.responses import Response
from console.requests import ALWAYS, Request, answer_json

# `sandbox`: an origin of its own, no scripts, no forms, no windows, also outside of the frame.
POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
FIELD: Final = "html="  # of a form that is sent as text/plain: one field, as it is


def show_mail(request: Request) -> Response:
    """The posted HTML, closed in."""
    if not request.is_own or not request.body.startswith(FIELD):
        return answer_json(403, {})
    html = request.body.removeprefix(FIELD).removesuffix("\r\n")
    headers = {"content-security-policy": POLICY, "content-type": "text/html; charset=utf-8"}
    return {"statusCode": 200, "headers": {**ALWAYS, **headers, "cache-control": "no-store"}, "body": html}
