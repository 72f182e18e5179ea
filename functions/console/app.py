"""Entry point of the console: `/console` and what is below it."""

import logging
from collections.abc import Callable
from typing import Any

from common.aws import AwsError
from common.responses import Response
from console.files import answer_file, read_page
from console.pages import show_sign_in
from console.previews import show_mail
from console.requests import Request, answer_page, read_request
from console.sign_in import find_issuer_host, finish, show_form, show_session, sign_out, start, take_key

log = logging.getLogger(__name__)

STATIC = "/console/static/"
PAGES: dict[tuple[str, str], Callable[[Request], Response]] = {
    ("GET", "/console"): lambda _: answer_page(200, read_page("index.html")),
    ("GET", "/console/sign-in"): show_form,
    ("POST", "/console/sign-in"): take_key,
    ("GET", "/console/session"): show_session,
    ("POST", "/console/session"): show_session,
    ("POST", "/console/sign-out"): sign_out,
    ("POST", "/console/mail"): show_mail,
}
OF_ISSUER = {("GET", "/console/sign-in/start"): start, ("GET", "/console/signed-in"): finish}


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers a request in API Gateway's payload 2.0."""
    request = read_request(event)
    try:
        return answer(request)
    except AwsError as failure:
        log.error("table not reached: %s", failure)
        problem = "Signing in does not work at the moment; try again in a minute."
        return show_sign_in(host=find_issuer_host(), problem=problem, status=503)


def answer(request: Request) -> Response:
    """What a path answers. Raises `AwsError`."""
    place = ("GET" if request.method == "HEAD" else request.method, request.path.rstrip("/"))
    found = PAGES.get(place) or (OF_ISSUER.get(place) if find_issuer_host() else None)
    if found:
        return found(request)
    if place[0] == "GET" and request.path.startswith(STATIC):
        version, _, name = request.path.removeprefix(STATIC).partition("/")
        if response := answer_file(request, version, name):
            return response
    return answer_page(404, read_page("missing.html"))
