"""Two stacks, one where people sign in with a key and one with a provider, and a browser that minds what goes wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response

from admin.api_keys import create_api_key
from local.stack import Stack
from tests.console import calls, cohorts, telling, traffic
from tests.console.chromium import open_browser
from tests.console.provider import CLIENT_ID, Provider
from tests.unit.authorizer.oidc_issuer import AUDIENCE

AXE = Path(__file__).parent / "node" / "node_modules" / "axe-core" / "axe.min.js"
DESKTOP, PHONE = (1280, 860), (390, 844)
PATIENCE_MS = 15_000


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that renews the pictures."""
    parser.addoption("--pictures", action="store_true", help="write the README's pictures of the console anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them are of the console."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.console)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack without an issuer, with mail and API calls in it."""
    with Stack(directory=tmp_path_factory.mktemp("stack")) as running:
        traffic.load(running)
        calls.load(running)
        cohorts.load(running)
        telling.load(running)
        yield running


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """A provider at which one signs in."""
    with Provider() as running:
        yield running


@pytest.fixture(scope="session")
def provider_stack(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Stack]:
    """A stack whose console signs people in with the provider."""
    parameters = {
        "OidcIssuer": provider.issuer.url,
        "OidcAudience": AUDIENCE,
        "OidcClientId": CLIENT_ID,
        "OidcScopeMap": "events:read=events:read,pii:read=pii:read",
    }
    with Stack(directory=tmp_path_factory.mktemp("stack-with-provider"), parameters=parameters) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with open_browser() as running:
        yield running


class Visit:
    """A browser's window of its own, and what must not happen in it."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self.trouble: list[str] = []
        self.expected: list[str] = []  # beginnings of trouble that a test means
        width, height = options.pop("size", DESKTOP)
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            locale="en-GB",
            timezone_id="Europe/Berlin",
            permissions=["clipboard-read", "clipboard-write"],
            reduced_motion="reduce",
            **options,
        )
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.open()

    def open(self) -> Page:
        """Another tab."""
        page = self.context.new_page()
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.trouble.append(f"error {error}"))
        page.on("response", self._note_response)
        return page

    def _note_message(self, message: ConsoleMessage) -> None:
        is_status = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not is_status:
            self.trouble.append(f"console {message.text}")

    def _note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.trouble.append(f"{response.status} {response.url.partition('?')[0]}")

    def check(self) -> None:
        """No error, no refusal of the Content-Security-Policy, no failed request but what the test expects."""
        left = [each for each in self.trouble if not each.startswith(tuple(self.expected or ["-"]))]
        assert left == []
        for page in self.context.pages:
            assert page.evaluate("() => window.hacked") is None

    def find_faults(self) -> list[str]:
        """What axe-core finds on the page as it is; not in frames, which are closed to it, too."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations'], iframes: false})")
        return [
            f"{fault['id']}: {node['target']} {node['failureSummary']}"
            for fault in found["violations"]
            for node in fault["nodes"]
        ]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """A window at desktop width."""
    visit = Visit(browser)
    yield visit
    visit.check()
    visit.context.close()


def sign_in(visit: Visit, stack: Stack, key: str = "") -> Page:
    """Signs in with a key, and waits for the console."""
    page = visit.page
    page.goto(f"{stack.url}/console")
    page.get_by_label("API key").fill(key or stack.api_key)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="What became of a mail?").wait_for()
    return page


SCOPES = ("events:read", "pii:read", "cohorts:write")


@pytest.fixture(scope="session")
def signed_in(browser: Browser, stack: Stack) -> Any:
    """The cookies of somebody who is signed in and may change what is told, for tests of views."""
    key = create_api_key(stack.client("dynamodb"), stack.name("ApiKeysTable"), name="editor", scopes=SCOPES)
    visit = Visit(browser)
    sign_in(visit, stack, key)
    visit.check()
    state = visit.context.storage_state()
    visit.context.close()
    return state


@pytest.fixture
def tour(request: pytest.FixtureRequest, browser: Browser, signed_in: Any) -> Any:
    """A signed-in window of some size and scheme of colours."""
    size, scheme = request.param
    visit = Visit(browser, size=size, color_scheme=scheme, storage_state=signed_in)
    yield visit, size, scheme
    visit.expected = ["404 "]
    visit.check()
    visit.context.close()


@pytest.fixture(scope="session")
def hostile(stack: Stack) -> None:
    """Values that try to be markup."""
    calls.load_hostile(stack)
    traffic.load_hostile(stack)
    cohorts.load_hostile(stack)
    telling.load_hostile(stack)
