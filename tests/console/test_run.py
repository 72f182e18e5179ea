import re

from playwright.sync_api import expect

from local.cli import describe
from local.demo import post_samples
from local.stack import Stack
from tests.console.conftest import Visit
from tests.stack.client import await_events


def test_what_run_prints_leads_to_the_demos_recipient(visit: Visit, stack: Stack) -> None:
    """The console's URL and the key are enough to see her timeline."""
    post_samples(stack)
    await_events(stack, "recipient@example.com", 10)
    printed = describe(stack)
    found = re.search(r"console  (\S+)", printed)
    assert found is not None
    visit.page.goto(found[1])
    visit.page.get_by_label("API key").fill(re.findall(r"API key (\S+)", printed)[-1])
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("recipient@example.com")
    expect(visit.page.locator(".timeline li").first).to_be_visible()
