import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from authorizer.callers import UNKNOWN, Caller
from authorizer.keys import hash_key
from common.aws import AwsError
from common.sessions import COOKIE
from console import app, files, sign_in
from console.oidc import SignInError
from tests.unit.common.sessions_table import SessionsTable

KEY = "mw_1"
OWN = {"sec-fetch-site": "same-origin"}


class Keys:
    """The table of keys, with one in it."""

    def __init__(self) -> None:
        self.callers = {hash_key(KEY): Caller("support", "events:read")}

    def find_hash(self, key_hash: str) -> Caller:
        """Whose key it is."""
        return self.callers.get(key_hash, UNKNOWN)


class RefusingIssuer:
    """An issuer that takes no code."""

    def finish(self, *_: object) -> None:
        """Signs nobody in."""
        raise SignInError("no")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Keys]:
    """One key, no issuer."""
    for name in ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_TLS"):
        monkeypatch.delenv(name, raising=False)
    keys = Keys()
    monkeypatch.setattr(sign_in, "_keys", lambda: keys)
    yield keys
    files.read_files.cache_clear()


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> SessionsTable:
    """No session yet."""
    table = SessionsTable(monkeypatch.setattr)
    monkeypatch.setattr(sign_in, "_sessions", lambda: table.sessions)
    monkeypatch.setattr("console.sign_in.time.time", lambda: table.time)
    return table


def call(method: str, path: str, *, headers: Any = OWN, cookie: str = "", body: str = "", query: str = "") -> Any:
    """What the function answers."""
    return app.handler(
        {
            "rawPath": path,
            "rawQueryString": query,
            "headers": headers,
            "cookies": [cookie] if cookie else [],
            "body": body,
            "requestContext": {"domainName": "example.com", "http": {"method": method}},
        },
        None,
    )


def read_set_cookie(response: Any, name: str = COOKIE) -> str:
    """`name=value` of a cookie that an answer sets."""
    (found,) = [cookie for cookie in response["cookies"] if cookie.startswith(f"{name}=")]
    return str(found).partition(";")[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/console", 200),
        ("GET", "/console/", 200),
        ("HEAD", "/console", 200),
        ("GET", "/console/sign-in", 200),
        ("GET", "/console/sign-in/start", 404),
        ("GET", "/console/session", 204),
        ("POST", "/console", 404),
        ("GET", "/console/static/x/style.css", 200),
        ("GET", "/console/static/x/index.html", 404),
        ("GET", "/console/static/x/../app.py", 404),
        ("GET", "/console/static/x//etc/passwd", 404),
        ("GET", "/console/static/", 404),
        ("GET", "/console/nothing", 404),
    ],
)
def test_every_answer_is_closed(method: str, path: str, status: int) -> None:
    """Whatever is asked for: nothing but own files runs, nobody frames it, nothing is guessed, nothing is told on."""
    response = call(method, path)
    assert response["statusCode"] == status
    headers = response["headers"]
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert policy["form-action"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["strict-transport-security"].startswith("max-age=31536000")


def test_page_names_files_that_are_there_and_may_be_kept() -> None:
    """Their addresses change with them, so a browser need not ask for them again."""
    names = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', call("GET", "/console")["body"])
    assert len(names) > 5
    for name in names:
        response = call("GET", name)
        assert response["statusCode"] == 200
        assert response["headers"]["cache-control"] == "public, max-age=31536000, immutable"
        tag = response["headers"]["etag"]
        assert call("GET", name, headers={"if-none-match": f"W/{tag}"})["statusCode"] == 304


def test_file_of_another_version_is_not_kept() -> None:
    """A page that was loaded before a deployment gets today's file, under yesterday's address."""
    response = call("GET", "/console/static/0000/main.js")
    assert (response["statusCode"], response["headers"]["cache-control"]) == (200, "no-cache")


def test_large_files_are_compressed() -> None:
    """For browsers that take it."""
    response = call("GET", "/console/static/x/vendor/uplot.js", headers={"accept-encoding": "br, gzip"})
    assert response["headers"]["content-encoding"] == "gzip"
    assert len(response["body"]) < 80_000


def test_pages_have_nothing_inline() -> None:
    """The policy would refuse it: no script, style or handler stands in a page."""

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            names = dict(attrs)
            assert tag != "style"
            assert tag != "script" or "src" in names
            assert not [name for name in names if name.startswith("on") or name == "style"]

    for path in files.FOLDER.glob("*.html"):
        Reader().feed(path.read_text())


def test_key_signs_in() -> None:
    """The browser gets an id that scripts can't read, other sites can't use and no other host gets; never the key."""
    response = call("POST", "/console/sign-in", body=f"key={KEY}")
    assert (response["statusCode"], response["headers"]["location"]) == (303, "/console")
    (cookie,) = [cookie for cookie in response["cookies"] if cookie.startswith(f"{COOKIE}=")]
    assert re.fullmatch(rf"{COOKIE}=[\w-]{{43}}; Path=/; Secure; HttpOnly; SameSite=Strict", cookie)
    session = call("GET", "/console/session", cookie=read_set_cookie(response))
    assert '"name": "support", "scopes": ["events:read"], "ends_in": 1800, "expires_in": 43200' in session["body"]


@pytest.mark.parametrize(
    "body", ["", "key=", "key=wrong", "key=mw_2&key=", "other=mw_1", "key=" + "x" * 20_000, "%ff=%ff", "a=1&" * 2_000]
)
def test_wrong_key_does_not(body: str, table: SessionsTable) -> None:
    """It is said on the page, and nothing is set."""
    response = call("POST", "/console/sign-in", body=body)
    assert response["statusCode"] == 401
    assert not response["cookies"]
    assert not table.items
    assert "no valid API key" in response["body"]


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}])
def test_other_sites_can_sign_nobody_in_or_out(headers: dict[str, str], table: SessionsTable) -> None:
    """Nor prolong a session: their forms are told apart by what the browser says of them."""
    session_id = table.sessions.start("support", "events:read", "", idle_seconds=60, expires_at=2**40)
    assert call("POST", "/console/sign-in", body=f"key={KEY}", headers=headers)["statusCode"] == 403
    for path in ("/console/session", "/console/sign-out"):
        assert call("POST", path, cookie=f"{COOKIE}={session_id}", headers=headers)["statusCode"] == 403
    assert len(table.items) == 1


def test_key_that_may_not_look_at_events_does_not_sign_in(keys: Keys) -> None:
    """It says which scope is missing."""
    keys.callers[hash_key(KEY)] = Caller("other", "pii:read")
    response = call("POST", "/console/sign-in", body=f"key={KEY}")
    assert response["statusCode"] == 403
    assert "events:read" in response["body"]


def test_session_ends_with_its_key(keys: Keys) -> None:
    """A revoked key's sessions are over, and the cookie goes."""
    cookie = read_set_cookie(call("POST", "/console/sign-in", body=f"key={KEY}"))
    keys.callers.clear()
    response = call("GET", "/console/session", cookie=cookie)
    assert (response["statusCode"], read_set_cookie(response)) == (204, f"{COOKIE}=")


def test_sign_in_again_ends_the_session_before(table: SessionsTable) -> None:
    """An id that somebody planted is not the one that is signed in."""
    cookie = read_set_cookie(call("POST", "/console/sign-in", body=f"key={KEY}"))
    again = read_set_cookie(call("POST", "/console/sign-in", body=f"key={KEY}", cookie=cookie))
    assert cookie != again
    assert len(table.items) == 1


def test_sign_out_ends_the_session(table: SessionsTable) -> None:
    """On the server, not only in the browser."""
    cookie = read_set_cookie(call("POST", "/console/sign-in", body=f"key={KEY}"))
    response = call("POST", "/console/sign-out", cookie=cookie)
    assert response["headers"]["location"] == "/console/sign-in?reason=signed-out"
    assert "Max-Age=0" in response["cookies"][0]
    assert not table.items
    assert call("GET", "/console/session", cookie=cookie)["statusCode"] == 204


def test_only_use_prolongs(table: SessionsTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking at a session does not, saying that it is used does, for the setting's minutes."""
    monkeypatch.setenv("SESSION_IDLE_MINUTES", "10")
    cookie = read_set_cookie(call("POST", "/console/sign-in", body=f"key={KEY}"))
    table.time += 599
    assert '"ends_in": 1,' in call("GET", "/console/session", cookie=cookie)["body"]
    assert '"ends_in": 600,' in call("POST", "/console/session", cookie=cookie)["body"]
    table.time += 600
    assert call("POST", "/console/session", cookie=cookie)["statusCode"] == 204


def test_reason_is_one_of_ours() -> None:
    """Nothing of an address gets into the page."""
    assert "nothing was done for a while" in call("GET", "/console/sign-in", query="reason=idle")["body"]
    body = call("GET", "/console/sign-in", query="reason=%3Cb%3Emarkup")["body"]
    assert "markup" not in body


def test_trouble_with_the_table_is_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do."""

    def fail() -> None:
        raise AwsError(500, "InternalServerError", "GetItem")

    monkeypatch.setattr(sign_in, "_keys", fail)
    response = call("POST", "/console/sign-in", body=f"key={KEY}")
    assert response["statusCode"] == 503
    assert "try again" in response["body"]


def test_origin_is_https_but_on_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on 127.0.0.1, unless the setting says so; and nowhere else by it."""
    from console.requests import build_origin

    assert build_origin("127.0.0.1:8600") == "https://127.0.0.1:8600"
    monkeypatch.setenv("OIDC_TLS", "not-on-loopback")
    assert build_origin("127.0.0.1:8600") == "http://127.0.0.1:8600"
    assert build_origin("a.example.com") == "https://a.example.com"


@pytest.mark.parametrize(
    ("query", "status", "used"),
    [("state=s&code=c", 403, True), ("state=s&error=access_denied", 403, True), ("state=other&code=c", 400, False)],
)
def test_attempt_to_sign_in_is_used_once(
    monkeypatch: pytest.MonkeyPatch, query: str, status: int, *, used: bool
) -> None:
    """An answer to it ends it, also one that signs nobody in; an answer to another one does not."""
    monkeypatch.setenv("OIDC_ISSUER", "https://login.example.com")
    monkeypatch.setenv("OIDC_CLIENT_ID", "console")
    monkeypatch.setattr(sign_in, "_issuer", RefusingIssuer)
    response = call("GET", "/console/signed-in", cookie=f"{sign_in.ATTEMPT_COOKIE}=s.n.v", query=query)
    assert response["statusCode"] == status
    ended = f"{sign_in.ATTEMPT_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
    assert response["cookies"] == ([ended] if used else [])


MAIL = "<p style='color: red'>Hi</p><script>alert(1)</script>\r\n<img src=https://example.com/x.png>"


def test_mail_is_shown_closed_in() -> None:
    """As it is, with an origin of its own, where nothing runs and nothing but what it holds is loaded."""
    response = call("POST", "/console/mail", body=f"html={MAIL}\r\n")
    assert (response["statusCode"], response["body"]) == (200, MAIL)
    policy = response["headers"]["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'", "img-src data:", "form-action 'none'", "frame-ancestors 'self'"} <= {
        *policy
    }
    assert "script" not in response["headers"]["content-security-policy"]
    assert response["headers"]["cache-control"] == "no-store"
    assert response["headers"]["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {}])
def test_other_sites_can_show_no_mail(headers: dict[str, str]) -> None:
    """Nothing of theirs is answered under our name."""
    assert call("POST", "/console/mail", body=f"html={MAIL}", headers=headers)["statusCode"] == 403
    assert call("POST", "/console/mail", body=MAIL)["statusCode"] == 403
    assert call("GET", "/console/mail", query="html=x")["statusCode"] == 404
