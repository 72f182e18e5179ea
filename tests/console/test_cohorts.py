from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.stack import Stack
from tests.console.cohorts import ACTIVE, BOUNCED, CIRCLE, FAILING, GONE, HOSTILE
from tests.console.conftest import Visit
from tests.console.traffic import ADA, MARKUP
from tests.console.views import at


@pytest.fixture
def page(browser: Browser, signed_in: Any, stack: Stack) -> Any:
    """A signed-in page that shows the cohorts."""
    visit = Visit(browser, storage_state=signed_in)
    visit.page.goto(f"{stack.url}/console{at('cohorts')}")
    visit.page.get_by_role("heading", name="Cohorts").wait_for()
    yield visit.page
    visit.check()
    visit.context.close()


def go(page: Page, name: str, query: str = "") -> None:
    """Goes to a cohort."""
    page.goto(page.url.partition("#")[0] + at("cohorts", name, query))


def find(page: Page, title: str) -> Any:
    """An entry of the list."""
    return page.locator(".results > li", has_text=title)


def test_list_tells_sizes_and_states(page: Page) -> None:
    """The deleted one last, the failed one with its reason; each leads to its own view."""
    expect(find(page, ACTIVE)).to_contain_text("Companies with calls in the last week up to date")
    expect(find(page, ACTIVE)).to_contain_text("2 companies")
    expect(find(page, "Not in the other one")).to_contain_text("failed")
    expect(find(page, "Not in the other one")).to_contain_text(
        "The last evaluation failed: cohorts ask for each other: circle-"
    )
    expect(page.locator(".results > li").last).to_contain_text(GONE)
    expect(page.locator(".results > li").last).to_contain_text("deleted")
    page.get_by_role("link", name="Companies with calls in the last week").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Companies with calls in the last week")
    expect(page.get_by_role("link", name="Cohorts")).to_have_attribute("aria-current", "page")
    members = page.get_by_role("region", name="Who is in, and why").locator("li strong")
    expect(members).to_have_count(2)
    assert sorted(members.all_inner_texts()) == ["acme", "globex"]


def test_figures_are_those_of_the_transitions(page: Page) -> None:
    """The last day's size is the present one, and each day's differs by who entered and left."""
    go(page, FAILING)
    page.get_by_text("Members: the figures").click()
    page.get_by_text("Entries and exits: the figures").click()
    rows = page.get_by_role("region", name="Members, figures").locator("tbody tr")
    expect(rows).to_have_count(30)
    sizes = [int(row.locator("td").inner_text()) for row in rows.all()]
    changes = page.get_by_role("region", name="Entries and exits, figures").locator("tbody tr")
    numbers = [[int(text) for text in row.locator("td").all_inner_texts()] for row in changes.all()]
    assert max(sizes) > 0
    assert sizes == [sum(entered - left for entered, left in numbers[: day + 1]) for day in range(30)]
    expect(page.locator(".standing h2")).to_have_text(f"{sizes[-1]} user{'' if sizes[-1] == 1 else 's'}")
    page.get_by_role("group", name="Choose the days that are drawn").locator("select").select_option("7")
    expect(page.get_by_role("img", name="Members, as lines over 7 days")).to_be_visible()


def test_members_and_what_their_membership_rests_on(page: Page) -> None:
    """An address leads to its recipient, a mail to the event; beside it the condition of the definition."""
    go(page, BOUNCED)
    member = page.get_by_role("region", name="Who is in, and why").locator("li", has_text=ADA).first
    member.get_by_text("Why").click()
    expect(member.locator("code")).to_contain_text('{"did":{"event":"mail","where":{"type":"bounced"}}')
    expect(member).to_contain_text("True:")
    member.get_by_role("link", name="mail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bounced for good")
    page.go_back()
    member.get_by_role("link", name=ADA).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)


def test_members_at_an_instant(page: Page) -> None:
    """Chosen in the reader's zone; the address of the page tells it, and `Now` leads back."""
    go(page, BOUNCED)
    members = page.get_by_role("region", name="Who is in, and why")
    expect(members.locator("li", has_text=ADA)).to_have_count(1)
    members.get_by_label("At").fill("2020-01-01T10:00")
    expect(members.get_by_text("Nobody was in at that instant.")).to_be_visible()
    assert "at=2020-01-01T09%3A00%3A00.000Z" in page.url
    page.reload()
    expect(members.get_by_label("At")).to_have_value("2020-01-01T10:00")
    members.get_by_role("button", name="Now").click()
    expect(members.locator("li", has_text=ADA)).to_have_count(1)


def test_entries_and_exits_are_narrowed_and_go_on(page: Page) -> None:
    """More are loaded behind those that are there; who left has other words."""
    page.route("**/transitions?*", lambda route: route.continue_(url=f"{route.request.url}&per_page=3"))
    page.route("**/transitions", lambda route: route.continue_(url=f"{route.request.url}?per_page=3"))
    go(page, BOUNCED)
    changes = page.get_by_role("region", name="Who entered and left")
    expect(changes.locator(".results > li")).to_have_count(3)
    changes.get_by_role("button", name="Load more entries and exits").click()
    expect(changes.locator(".results > li strong a")).to_have_count(6)
    assert len(set(changes.locator(".results > li").all_inner_texts())) == 6
    changes.get_by_label("Show").select_option("exited")
    expect(changes.locator(".badge", has_text="entered")).to_have_count(0)
    expect(changes.locator(".badge", has_text="left").first).to_be_visible()
    changes.locator("summary").first.click()
    expect(changes.locator("details").first).to_contain_text("Not true:")


def test_failure_is_seen(page: Page) -> None:
    """At the top of the cohort's view, with the reason."""
    go(page, CIRCLE[0])
    expect(page.locator(".standing.bad")).to_contain_text(
        "failed The last evaluation failed: cohorts ask for each other"
    )
    expect(page.get_by_text("Nobody is in now.")).to_be_visible()


@pytest.mark.usefixtures("hostile")
def test_values_are_never_markup(page: Page) -> None:
    """Titles, definitions and names are shown as they are."""
    page.reload()
    page.get_by_role("link", name=MARKUP).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP)
    expect(page.locator("pre").first).to_contain_text(MARKUP.replace('"', '\\"'))
    expect(page.locator("li strong", has_text=MARKUP)).to_have_count(2)
    assert page.locator("main img, main script, main svg:not(.legend svg)").count() == 0
    assert HOSTILE in page.url
