"""Runs before the other tests of the console: nothing hostile is in its pictures yet."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from local.stack import Stack
from tests.console.conftest import DESKTOP, PHONE
from tests.console.traffic import ADA
from tests.console.views import VIEWS, at, open_view

PICTURES = Path(__file__).parents[2] / "docs" / "images"
LARGEST_PICTURE = 150_000  # bytes


@pytest.mark.parametrize("tour", [(size, "light") for size in (DESKTOP, PHONE)], indirect=True, ids=str)
def test_pictures(tour: Any, stack: Stack, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The README's pictures can be taken, and are small; they are renewed with `--pictures`."""
    visit, size, _ = tour
    folder = PICTURES if request.config.getoption("--pictures", default=False) else tmp_path
    folder.mkdir(exist_ok=True)
    name = "phone" if size == PHONE else "desktop"
    for view in VIEWS:
        if view.picture:
            open_view(visit.page, stack, view)
            take(visit.page, folder / f"{view.picture}-{name}.png")
    visit.page.goto(f"{stack.url}/console{at('recipients', ADA)}")
    visit.page.locator(".timeline a").first.click()
    visit.page.get_by_role("heading", name="As the provider sent it").wait_for()
    take(visit.page, folder / f"event-{name}.png")
    visit.context.clear_cookies()
    visit.page.goto(f"{stack.url}/console")
    visit.page.get_by_label("API key").wait_for()
    assert visit.find_faults() == []
    take(visit.page, folder / f"sign-in-{name}.png")


def take(page: Page, path: Path) -> None:
    """A picture of what fits on the screen."""
    page.screenshot(path=path, animations="disabled", caret="hide")
    assert path.stat().st_size < LARGEST_PICTURE, path.name
