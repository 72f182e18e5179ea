from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.stack import Stack
from tests.console.calls import count_calls
from tests.console.conftest import DESKTOP, PHONE, Visit
from tests.console.traffic import ADA, ANALYTICAL, BUSY, BUSY_MESSAGES, HOSTILE, MARKUP
from tests.console.views import ORDER, VIEWS, at, open_view


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "tour", [(size, scheme) for size in (DESKTOP, PHONE) for scheme in ("light", "dark")], indirect=True, ids=str
)
def test_every_view_is_accessible(tour: Any, stack: Stack, request: pytest.FixtureRequest) -> None:
    """axe-core finds nothing, at either width, in light and dark; and nothing is wider than the screen."""
    visit, size, _ = tour
    faults = {}
    for view in VIEWS:
        open_view(visit.page, stack, view)
        visit.page.evaluate("() => document.querySelectorAll('details').forEach(each => { each.open = true })")
        if found := visit.find_faults():
            faults[view.place] = found
        width = visit.page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= size[0], view.place
    event = visit.page.goto(f"{stack.url}/console{at('recipients', ADA)}")
    assert event is None or event.ok
    visit.page.locator(".timeline a").first.click()
    visit.page.get_by_role("heading", name="As the provider sent it").wait_for()
    if found := visit.find_faults():
        faults["an event"] = found
    assert faults == {}


@pytest.fixture
def page(browser: Browser, signed_in: Any, stack: Stack) -> Any:
    """A signed-in page at desktop width."""
    visit = Visit(browser, storage_state=signed_in)
    visit.page.goto(f"{stack.url}/console")
    visit.page.get_by_role("heading", name="What became of a mail?").wait_for()
    yield visit.page
    visit.expected = ["404 ", "503 ", "console Failed to load resource"]
    visit.check()
    visit.context.close()


def search(page: Page, text: str) -> None:
    """Types into the box."""
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("typed", [ADA, f" {ADA.upper()} ", f"Ada Lovelace <{ADA}>", f"mailto:{ADA}"])
def test_address_leads_to_its_recipient(page: Page, typed: str) -> None:
    """However it was copied."""
    search(page, typed)
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    expect(page.get_by_text("Bounced hard: the recipient is invalid").first).to_be_visible()


def test_id_leads_to_its_message(page: Page) -> None:
    """It tells what became of it, with its events."""
    search(page, ORDER)
    expect(page.get_by_role("heading", level=1)).to_have_text("Your order 4711 is on its way")
    expect(page.locator(".timeline li")).to_have_count(4)


def test_id_that_looks_like_an_address_is_found(page: Page) -> None:
    """A provider's id may have an at sign: the recipient's view leads on to the message."""
    search(page, ANALYTICAL.strip("<>"))
    page.get_by_role("link", name="a message with this as its id").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Message")
    page.goto(page.url.partition("#")[0] + at("messages", ANALYTICAL))
    expect(page.get_by_role("heading", level=1)).to_have_text("Reset your password")


def test_words_find_subjects_and_beginnings_of_addresses(page: Page) -> None:
    """One entry for each message; what is found leads on."""
    search(page, "autumn sale")
    subjects = page.get_by_role("region", name="Mails with these words in the subject")
    subjects.get_by_role("link", name="Autumn sale for tea: 30 % off").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Autumn sale for tea: 30 % off")
    search(page, "ada.love")
    people = page.get_by_role("region", name="Recipients whose address begins like this")
    people.get_by_role("link", name=ADA).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)


def test_long_results_go_on(page: Page) -> None:
    """More are loaded behind those that are there."""
    search(page, "newsletter november part")
    more = page.get_by_role("button", name="Load more")
    expect(more).to_be_visible()
    before = page.locator(".results > li").count()
    more.click()
    expect(page.locator(".results > li").nth(before)).to_be_visible()


def test_times_are_the_readers_and_utc(page: Page) -> None:
    """The zone of the browser, an hour ahead of UTC, with the other beside it."""
    search(page, ADA)
    shown = page.locator(".timeline .when").first
    local, utc = shown.locator("time").inner_text(), shown.locator(".utc").inner_text()
    ahead = int(local.rsplit(" ", 1)[1][:2]) - int(utc.removesuffix(" UTC").rsplit(" ", 1)[-1][:2])
    assert ahead % 24 == 1
    assert local[-6:] == utc.removesuffix(" UTC")[-6:]


def test_messages_are_narrowed_and_the_address_tells(page: Page) -> None:
    """By what happened, provider and days; the place can be opened again as it is, and widened."""
    search(page, ADA)
    messages = page.locator("article.message")
    expect(messages).to_have_count(3)
    page.get_by_label("What happened").select_option("clicked")
    expect(messages).to_have_count(1)
    page.get_by_label("Provider").select_option("sparkpost")
    page.reload()
    expect(messages).to_have_count(1)
    expect(page.get_by_label("What happened")).to_have_value("clicked")
    page.get_by_role("button", name="Show all").click()
    expect(messages).to_have_count(3)
    page.get_by_label("From", exact=True).fill("2020-01-01")
    page.get_by_label("To", exact=True).fill("2020-12-31")
    expect(page.get_by_text("None of the messages fits.")).to_be_visible()


@pytest.mark.usefixtures("hostile")
def test_older_messages_are_looked_through(page: Page) -> None:
    """Where what is chosen is further back than the first page; it is said how far one has looked."""
    search(page, BUSY)
    messages = page.locator("article.message")
    expect(page.get_by_text("25 messages so far, the newest first.")).to_be_visible()
    page.get_by_label("What happened").select_option("clicked")
    expect(messages).to_have_count(1)
    expect(page.get_by_text(f"1 of the {BUSY_MESSAGES} messages, the newest first.")).to_be_visible()
    page.get_by_label("What happened").select_option("accepted")
    expect(messages).to_have_count(BUSY_MESSAGES)
    page.reload()
    expect(page.get_by_text("25 of the 25 messages looked at so far, the newest first.")).to_be_visible()
    page.get_by_role("button", name="Look through older messages").click()
    expect(messages).to_have_count(50)
    page.get_by_label("What happened").select_option("complained")
    expect(page.get_by_text("None of the messages fits.")).to_be_visible()
    expect(page.get_by_text(f"0 of the {BUSY_MESSAGES} messages, the newest first.")).to_be_visible()


def test_back_leads_back(page: Page) -> None:
    """Each view is a step in the history."""
    search(page, ADA)
    page.locator("article h3 a").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Reset your password")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    expect(page.locator("#box")).to_have_value(ADA)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("What became of a mail?")


def test_event_shows_what_the_provider_sent(page: Page) -> None:
    """In our words, raw, and where it came from; the raw one can be copied."""
    search(page, ORDER)
    page.get_by_role("link", name="Clicked a link").click()
    expect(page.locator("pre")).to_contain_text('"target_link_url": "https://shop.example.com/orders/4711?token=abc"')
    expect(page.get_by_text("raw/sparkpost/")).to_be_visible()
    page.get_by_role("button", name="Copy event").click()
    assert '"msys"' in page.evaluate("() => navigator.clipboard.readText()")


def test_address_id_and_link_can_be_copied(page: Page) -> None:
    """And a screen reader hears that it was done."""
    search(page, ADA)
    page.get_by_role("button", name="Copy address").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == ADA
    expect(page.get_by_role("status").get_by_text("Copied: address")).to_be_attached()
    page.get_by_role("button", name="Copy link").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == page.url
    page.get_by_role("button", name="Copy id").last.click()
    assert page.evaluate("() => navigator.clipboard.readText()") == ORDER


def test_delivery_has_the_figures_of_its_lines(page: Page) -> None:
    """By campaign and by provider: a row a day, and the sum of the table is what was sent."""
    page.get_by_role("link", name="Delivery").click()
    expect(page.locator("figure canvas")).to_have_count(3)
    page.get_by_text("Accepted mails: the figures").click()
    rows = page.get_by_role("region", name="Accepted mails, figures").locator("tbody tr")
    expect(rows).to_have_count(30)
    total = page.get_by_role("region", name="All days together").locator("tr", has_text="Newsletter, November")
    by_day = sum(int(row.locator("td").nth(find_column(page)).inner_text()) for row in rows.all())
    assert by_day == int(total.locator("td").first.inner_text()) > 20
    page.get_by_label("By").select_option("provider")
    expect(page.locator(".legend").first.locator("li").first).to_have_text("SparkPost")


@pytest.mark.usefixtures("hostile")
def test_the_largest_of_many_campaigns_are_drawn(page: Page) -> None:
    """Whatever commas their names have; those without a name are in the table alone, and that is said."""
    page.get_by_role("link", name="Delivery").click()
    page.get_by_text("Accepted mails: the figures").click()
    totals = page.get_by_role("region", name="All days together")
    expect(totals.locator("tbody tr").nth(8)).to_be_visible()  # at least: other tests may have sent some, too
    expect(totals.get_by_text("The 6 with the most mails and a name are drawn.")).to_be_visible()
    rows = page.get_by_role("region", name="Accepted mails, figures").locator("tbody tr")
    for name in ("Autumn sale", "Digests, odd", "Digests, even"):
        column = rows.locator(f"td:nth-child({find_column(page, name) + 2})").all_inner_texts()
        total = totals.locator("tr", has_text=name).locator("td").first.inner_text()
        assert sum(map(int, column)) == int(total) > 20
    expect(totals.locator("tr", has_text="none").locator("td").first).to_have_text("23")


def find_column(page: Page, name: str = "Newsletter, November") -> int:
    """Which column of the first chart's figures is a campaign's."""
    heads = page.get_by_role("region", name="Accepted mails, figures").locator("thead th").all_inner_texts()
    return heads.index(name) - 1


@pytest.mark.usefixtures("hostile")
def test_arrivals_show_what_could_not_be_read(page: Page) -> None:
    """With the reason and what came."""
    page.get_by_role("link", name="Arrivals").click()
    unreadable = page.get_by_role("region", name="Could not be read")
    unreadable.get_by_text("What came").first.click()
    expect(unreadable.locator("pre").first).to_contain_text(MARKUP.replace('"', '\\"'))
    expect(page.get_by_role("region", name="Batches").locator("li").first).to_contain_text("SparkPost")


def test_trouble_says_what_to_do(page: Page) -> None:
    """And trying again helps once it is over."""
    page.route("**/api/v1/recipients/**", lambda route: route.abort())
    search(page, ADA)
    expect(page.get_by_role("alert")).to_contain_text("The server can't be reached.")
    page.unroute("**/api/v1/recipients/**")
    body = (
        '{"errors":[{"message":"Service unavailable","description":"The database is away; try again.","code":"503"}]}'
    )
    page.route("**/api/v1/recipients/**", lambda route: route.fulfill(status=503, body=body))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("The database is away; try again.")
    page.unroute("**/api/v1/recipients/**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("article.message")).to_have_count(3)


def test_keyboard_alone_will_do(page: Page) -> None:
    """The first stop leads past the header, every stop is seen, and a new view begins at its heading."""
    page.reload()
    page.get_by_role("heading", name="What became of a mail?").wait_for()
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to what was found")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to what was found")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    search(page, ADA)
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy address")).to_be_focused()
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.get_by_label("Provider").focus()
    page.keyboard.press("/")
    expect(page.get_by_label("Provider")).to_be_focused()


def test_view_that_arrives_leaves_the_box_to_who_types(page: Page) -> None:
    """The key "/" at once, before the view is there: its heading does not take the focus away."""
    page.evaluate("() => { document.getElementById('box').focus(); location.hash = '#/arrivals'; }")
    expect(page).to_have_title("Arrivals \N{EN DASH} Mailwake")
    page.keyboard.type("quick")
    expect(page.get_by_role("searchbox")).to_have_value("quick")


def test_usage_tells_calls_and_customers(page: Page) -> None:
    """Numbers of all days, charts with their figures, tables; a company leads to its own; series are chosen."""
    page.goto(page.url.partition("#")[0] + at("usage"))
    expect(page.get_by_role("img", name="Calls, as lines over 30 days")).to_be_visible()
    facts = page.locator(".facts")
    expect(facts).to_contain_text(f"Calls{count_calls():,}")
    expect(facts).to_contain_text("1 of the time before did not call again")
    companies = page.get_by_role("region", name="Top companies, figures").get_by_role("row")
    expect(companies.nth(1)).to_contain_text("acme")
    expect(companies.last).to_contain_text("initech0-100 %")
    weeks = page.get_by_role("region", name="Users who stay, by week").get_by_role("row")
    expect(weeks.nth(1)).to_contain_text("100 %")
    expect(page.get_by_role("region", name="Series, figures")).to_contain_text("job=api, region=eu")
    page.get_by_label("Metric").select_option("queue_length")
    expect(page.get_by_role("heading", name="queue_length")).to_be_visible()
    expect(page.get_by_role("region", name="Series, figures")).not_to_contain_text("job=api")
    companies.get_by_role("link", name="globex").click()
    expect(facts).to_contain_text(f"Calls{count_calls('globex'):,}")
    page.get_by_role("button", name="Only globex: show all companies").click()
    expect(facts).to_contain_text(f"Calls{count_calls():,}")


@pytest.mark.usefixtures("hostile")
def test_values_are_never_markup(page: Page) -> None:
    """Whatever a sender or a server puts into a value is shown as it is: the page has no element of it."""
    for text in (HOSTILE, MARKUP):
        search(page, text)
        page.locator("main h2, main .note").first.wait_for()
    page.goto(page.url.partition("#")[0] + at("recipients", HOSTILE))
    expect(page.locator("article h3")).to_have_text(MARKUP)
    expect(page.locator(".reason").first).to_have_text(MARKUP)
    page.locator("article h3 a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP)
    page.get_by_role("link", name="Clicked a link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Clicked a link")
    expect(page.get_by_text(f"javascript:window.hacked=1//{MARKUP}").first).to_be_visible()
    assert page.locator("main img, main script, main svg, main a[href^='javascript']").count() == 0
    page.goto(page.url.partition("#")[0] + at("metrics"))
    expect(page.get_by_role("region", name="All days together")).to_contain_text(MARKUP)
    page.goto(page.url.partition("#")[0] + at("usage", "", "days=365"))
    for name in ("Top companies", "Top users", "Clients"):
        expect(page.get_by_role("region", name=f"{name}, figures")).to_contain_text(MARKUP)
    page.get_by_label("Metric").select_option(MARKUP)
    expect(page.get_by_role("region", name="Series, figures")).to_contain_text(MARKUP)
    page.get_by_role("link", name=MARKUP).click()
    expect(page.get_by_role("button", name=f"Only {MARKUP}")).to_be_visible()
