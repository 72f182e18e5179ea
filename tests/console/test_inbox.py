"""The inbox of the local stack in a browser: whatever a mail holds does nothing, and its links can be followed."""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from console.files import FOLDER
from local.web import Request, Response, WebServer
from tests.console.conftest import AXE
from tests.unit.local.test_inbox import World

HOSTILE = """
<script>top.hacked = self.hacked = 1</script><style>body { background: url(https://evil.example/style) }</style>
<img src="https://evil.example/pixel"><img src=x onerror="top.hacked = 1"><svg onload="top.hacked = 1"></svg>
<base href="https://evil.example/"><meta http-equiv="refresh" content="0;url=https://evil.example/refresh">
<iframe src="https://evil.example/frame"></iframe><link rel="stylesheet" href="https://evil.example/link">
<form action="https://evil.example/form" method="post" id="f"><button id="send">Send</button></form>
<a href="javascript:top.hacked=1" id="script">x</a><p id="end">Read me</p>
"""


@pytest.fixture
def served() -> Iterator[tuple[str, World]]:
    """An inbox over HTTP, with the console's style, and what it has told of."""
    world = World()

    def answer(request: Request) -> Response:
        if request.target.startswith("/console/static/"):
            path = FOLDER / request.target.rpartition("/")[2]
            kind = "text/css" if path.suffix == ".css" else "image/svg+xml"
            return Response(headers=[("Content-Type", kind)], body=path.read_bytes())
        if request.target == "/help":
            return Response(headers=[("Content-Type", "text/html")], body=b"<title>Help</title>")
        return world.inbox.answer(request)

    server = WebServer(answer)
    server.start("inbox")
    yield server.url, world
    for one in (server, world.cloud, world.gateway):
        one.stop()


def test_hostile_mail_does_nothing(browser: Browser, served: tuple[str, World]) -> None:
    """No script runs, no form is sent, nothing is loaded from elsewhere, by itself or when somebody clicks about."""
    url, world = served
    asked: list[str] = []

    def note(request: Request) -> Response:
        asked.append(request.target)
        return Response()

    elsewhere = WebServer(note)
    elsewhere.start("elsewhere")
    place = world.send(html=HOSTILE.replace("https://evil.example", elsewhere.url))
    with contextlib.ExitStack() as closing:
        closing.callback(elsewhere.stop)
        context = closing.enter_context(contextlib.closing(browser.new_context()))
        page = context.new_page()
        page.goto(url + place)
        frame = page.frame_locator("iframe.mail")
        frame.locator("#end").wait_for()
        frame.locator("#send").click()
        frame.locator("#script").click()
        page.wait_for_timeout(500)
        assert page.evaluate("() => window.hacked") is None
        assert len(context.pages) <= 2
        page.goto(f"{url}{place}/html")  # by itself, outside the frame
        page.locator("#send").click()
        page.wait_for_timeout(500)
        assert page.url == f"{url}{place}/html"
        assert asked == []


def test_link_is_followed_through_the_inbox(browser: Browser, served: tuple[str, World]) -> None:
    """In another tab, outside the sandbox; it is told as a click, as looking is as an open."""
    url, world = served
    place = world.send(html=f'<p>Hello</p><a href="{url}/help">there</a>')
    world.posted.clear()
    with contextlib.closing(browser.new_context()) as context:
        page = context.new_page()
        page.goto(f"{url}/local/mail")
        page.get_by_role("link", name="Hälp").click()
        page.wait_for_url(url + place)
        with context.expect_page() as opened:
            page.frame_locator("iframe.mail").get_by_role("link", name="there").click()
        opened.value.wait_for_url(f"{url}/help")
        assert opened.value.title() == "Help"
    assert [event.kind.event_type for event in world.events()] == ["opened", "clicked"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_used_by_everybody(browser: Browser, served: tuple[str, World], scheme: str) -> None:
    """axe-core finds nothing on the list and on a mail, and neither is wider than a phone."""
    url, world = served
    place = world.send()
    for size in ({"width": 1280, "height": 860}, {"width": 390, "height": 844}):
        with contextlib.closing(browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)) as context:  # type: ignore[arg-type]
            page = context.new_page()
            for path in ("/local/mail", place):
                page.goto(url + path)
                page.evaluate(AXE.read_text())
                found = page.evaluate("() => axe.run(document, {resultTypes: ['violations'], iframes: false})")
                assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
                assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
