"""The page on which one signs in. Values are put in as text, never as HTML."""

from collections.abc import Sequence
from html import escape

from common.responses import Response
from console.files import read_page
from console.requests import answer_page

# Why one is on this page; a word in its address chooses.
REASONS = {
    "idle": "You were signed out because nothing was done for a while. Sign in again and you are back where you were.",
    "expired": "Your sign-in has run out. Sign in again and you are back where you were.",
    "signed-out": "You are signed out.",
}
KEY_FORM = """
<form method="post" action="/console/sign-in">
<label for="key">API key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus spellcheck="false"
aria-describedby="key-help">
<p id="key-help" class="hint">It begins with <code>mw_</code>. Whoever runs Mailwake for you can make you one.</p>
<button class="primary">Sign in</button>
</form>
"""
ISSUER_LINK = """
<p><a class="primary" href="/console/sign-in/start">Sign in with {host}</a></p>
<p class="hint">You will be sent to {host} and back.</p>
"""


def show_sign_in(
    *, host: str, reason: str = "", problem: str = "", status: int = 200, cookies: Sequence[str] = ()
) -> Response:
    """The page; `host` is the issuer's, empty where one signs in with an API key. `problem`: what went wrong."""
    note = ""
    if problem:
        note = f'<p class="note bad" role="alert">{escape(problem)}</p>'
    elif reason in REASONS:
        note = f'<p class="note" role="status">{escape(REASONS[reason])}</p>'
        if reason == "signed-out" and host:
            note += f'<p class="hint">At {escape(host)} you may still be signed in.</p>'
    form = ISSUER_LINK.format(host=escape(host)) if host else KEY_FORM
    return answer_page(status, read_page("sign-in.html").replace("{{note}}", note).replace("{{form}}", form), cookies)
