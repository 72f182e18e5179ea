from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from local.stack import Stack
from tests.console.cohorts import CAME_BACK
from tests.console.conftest import Visit, sign_in
from tests.console.telling import (
    BACK_OF_HELD_OUT,
    BACK_OF_MAILED,
    DIGEST,
    GONE,
    HELD_OUT,
    HOOK,
    HOSTILE,
    MAIL,
    MANUAL,
    MEMBERS,
    REMOVED,
    UNSUBSCRIBED,
    WELCOME,
)
from tests.console.traffic import ADA, MARKUP
from tests.console.views import at
from tests.stack.client import select


@pytest.fixture
def showing(browser: Browser, signed_in: Any, stack: Stack) -> Any:
    """A window that shows the notifications, of somebody who may change what is told."""
    visit = Visit(browser, storage_state=signed_in)
    visit.page.goto(f"{stack.url}/console{at('notifications')}")
    visit.page.get_by_role("heading", name="Notifications").wait_for()
    yield visit
    visit.check()
    visit.context.close()


@pytest.fixture
def page(showing: Visit) -> Page:
    """Its page."""
    return showing.page


def go(page: Page, view: str, value: str = "", query: str = "") -> None:
    """Goes to a view."""
    page.goto(page.url.partition("#")[0] + at(view, value, query))
    expect(page.locator(".loading")).to_have_count(0)


def find(page: Page, text: str) -> Locator:
    """Entries of the list."""
    return page.locator(".results > li", has_text=text)


def test_notifications_tell_channel_and_cohort(page: Page) -> None:
    """Each leads to its cohort and to itself, with its definition, what it looked at and its deliveries."""
    expect(find(page, DIGEST)).to_contain_text("by email to team@example.com")
    expect(find(page, HOOK)).to_contain_text("to the webhook https://crm.example.com/hooks/mailwake")
    expect(find(page, MAIL)).to_contain_text(f"by mail to the members: {WELCOME}")
    expect(find(page, MAIL)).to_contain_text("when somebody enters failed-call")
    find(page, HOOK).get_by_role("link", name=HOOK).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOOK)
    expect(page.get_by_role("link", name="Notifications").first).to_have_attribute("aria-current", "page")
    expect(page.get_by_role("region", name="Definition").locator("pre")).to_contain_text('"secret": "crm"')
    deliveries = page.get_by_role("region", name="Deliveries").locator(".results > li")
    expect(deliveries).to_have_count(2)
    expect(deliveries.first).to_contain_text("sent crm.example.com")
    expect(deliveries.last).to_contain_text("It answered 503 (status 503).")


def test_waiting_mails_and_the_pause_are_seen(page: Page) -> None:
    """How many wait for what, who does, and why nothing goes."""
    page.route("**/api/v1/notifications*", lambda route: route.fulfill(json={"results": [build_waiting(route)]}))
    pause = {"began_at": "2026-11-21T09:00:00.000Z", "reason": "bounces", "by": None, "mails": 1000, "bounces": 62}
    mail = {"results": {"paused": {**pause, "complaints": 0}, "waiting": {}}}
    page.route("**/api/v1/mail", lambda route: route.fulfill(json=mail))
    page.reload()
    expect(find(page, MAIL)).to_contain_text("3 mails wait for quiet hours to end.")
    expect(find(page, MAIL)).to_contain_text("1 mail waits as they get as many mails as they may.")
    expect(page.locator(".note.warn")).to_contain_text("too many mails bounced: 62 of the last 1,000 (6.20 %).")


def build_waiting(_route: Any) -> dict[str, Any]:
    """A notification for which four wait."""
    waiting = {"quiet": 3, "capped": 1, "paused": 0, "template": 0, "turn": 0}
    definition = {"channel": {"mail": {"template": WELCOME}}, "on": ["entered"]}
    return {"name": MAIL, "cohort": "c", "definition": definition, "last_sent_at": None, "waiting": waiting}


def test_deliveries_are_narrowed_and_the_address_tells(page: Page) -> None:
    """By what became of them, recipient and notification; errors are words."""
    page.get_by_role("link", name="Deliveries").click()
    expect(find(page, "who@example.com")).to_contain_text("An attempt broke off: whether it went is not known.")
    page.get_by_label("What became of it").select_option("failed")
    expect(page.locator(".results > li .badge", has_not_text="failed")).to_have_count(0)
    expect(find(page, "slow@example.com")).to_contain_text("Html: line 3: name is missing.")
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Recipient").fill("crm.example.com")
    page.keyboard.press("Enter")
    expect(page.locator(".results > li")).to_have_count(2)
    assert "recipient=crm.example.com" in page.url
    page.reload()
    expect(page.get_by_label("Recipient")).to_have_value("crm.example.com")
    expect(page.locator(".results > li")).to_have_count(2)
    page.get_by_label("Notification").fill("nothing")
    page.get_by_label("Notification").blur()
    expect(page.get_by_text("None of the deliveries fits.")).to_be_visible()


def test_delivery_has_its_attempts(page: Page) -> None:
    """The newest first, each with its state; its mail leads to what became of it."""
    go(page, "deliveries", "", "recipient=slow@example.com")
    page.get_by_role("link", name="attempt 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("To slow@example.com")
    attempts = page.get_by_role("region", name="Attempts").locator("li")
    expect(attempts).to_have_count(2)
    expect(attempts.first).to_contain_text("failed")
    expect(attempts.last).to_contain_text("tried again")
    go(page, "deliveries", "mail-9-0")
    page.get_by_role("link", name="what became of the mail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your first call met a 400")


def test_recipient_leads_to_her_suppression_and_its_event(page: Page) -> None:
    """From what became of her mails to the list, and from there to the very event that put her on it."""
    go(page, "recipients", ADA)
    page.get_by_role("link", name="Our own list of suppressions").click()
    expect(page.get_by_text("It is on the list.")).to_be_visible()
    expect(page.get_by_label("Address", exact=True)).to_have_value(ADA)
    expect(find(page, ADA)).to_contain_text("A mail bounced for good, says SparkPost.")
    page.get_by_role("link", name="See the event").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Bounced for good")
    go(page, "recipients", ADA)
    page.get_by_role("link", name="Mails that we sent to members of cohorts").click()
    expect(find(page, ADA)).to_contain_text("The address has bounced.")


def test_suppressions_are_looked_up_and_narrowed(page: Page) -> None:
    """In any case; who was taken off says so; an unsubscribe leads to the mail whose link it was."""
    page.get_by_role("link", name="Suppressions").click()
    page.get_by_label("Address", exact=True).fill(f" {MANUAL.upper()} ")
    page.keyboard.press("Enter")
    expect(page.locator(".results > li")).to_have_count(1)
    expect(find(page, MANUAL)).to_contain_text("Put on the list by hand, by ann.")
    page.get_by_label("Address", exact=True).fill(REMOVED)
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is not on the list.")).to_be_visible()
    expect(find(page, REMOVED)).to_contain_text("taken off by ann")
    page.get_by_role("button", name="Show all").click()
    page.get_by_label("Topic").fill("onboarding")
    page.keyboard.press("Enter")
    expect(page.locator(".results > li")).to_have_count(1)
    expect(find(page, UNSUBSCRIBED)).to_contain_text("Unsubscribed by the link in one of our mails.")
    page.get_by_role("link", name="See the mail").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"To {UNSUBSCRIBED}")


def test_who_may_takes_an_address_off_the_list(page: Page, showing: Visit, stack: Stack) -> None:
    """After a question that the keyboard answers; what is said is heard, and the list shows it."""
    go(page, "suppressions", "", f"address={GONE}")
    take = page.get_by_role("button", name="Take off the list")
    take.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=f"Take {GONE} off the list?")
    expect(dialog.get_by_role("button", name="Keep it on the list")).to_be_focused()
    assert showing.find_faults() == []
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(take).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Take it off").click()
    expect(page.get_by_role("status").get_by_text(f"{GONE} was taken off the list for all mails.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(find(page, GONE)).to_contain_text("taken off by editor")
    expect(take).to_have_count(0)
    assert select(stack, "SELECT removed_by FROM suppressions WHERE address = %s", GONE) == [("editor",)]


def test_who_may_not_sees_no_way_to(visit: Visit, stack: Stack) -> None:
    """With a key that only reads: neither the button nor the preview, which says what it needs."""
    page = sign_in(visit, stack)
    go(page, "suppressions", "", f"address={MANUAL}")
    expect(find(page, MANUAL)).to_be_visible()
    expect(page.get_by_role("button", name="Take off the list")).to_have_count(0)
    go(page, "templates", WELCOME)
    expect(page.get_by_text("Who signs in with the scope cohorts:write")).to_be_visible()
    expect(page.get_by_label("With the data of the user")).to_have_count(0)


def test_refusal_to_take_off_is_told(page: Page, showing: Visit) -> None:
    """In the question, which stays; what is on the list stays there."""
    showing.expected = ["503 "]
    body = {"errors": [{"message": "Service unavailable", "description": "Try again.", "code": "503"}]}
    page.route(
        "**/api/v1/suppressions",
        lambda route: route.fulfill(status=503, json=body) if route.request.method == "DELETE" else route.continue_(),
    )
    go(page, "suppressions", "", f"address={MANUAL}")
    page.get_by_role("button", name="Take off the list").click()
    page.get_by_role("button", name="Take it off").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Service unavailable")
    page.get_by_role("button", name="Keep it on the list").click()
    expect(find(page, MANUAL)).to_contain_text("not mailed")


def test_template_shows_versions_and_effect(page: Page) -> None:
    """Figures by version, and against those held out who reached the goal, in words, as bars and as a table."""
    page.get_by_role("link", name="Templates").click()
    page.get_by_role("link", name=WELCOME).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(WELCOME)
    expect(page.get_by_text("2 versions")).to_be_visible()
    figures = page.get_by_role("region", name="Figures of the effect").get_by_role("row")
    expect(figures).to_have_count(4)
    expect(figures.last).to_contain_text("All")
    expect(figures.last.locator("td").nth(1)).to_have_text(str(MEMBERS))
    expect(figures.last.locator("td").nth(2)).to_have_text(f"{MEMBERS} 100.0 %")
    page.get_by_role("combobox", name="Goal: to enter").select_option(CAME_BACK)
    rows = page.get_by_role("region", name="Figures of the comparison").get_by_role("row")
    expect(rows.nth(1).locator("td").nth(1)).to_have_text(
        f"{BACK_OF_MAILED / MEMBERS * 100:.1f} % ({BACK_OF_MAILED} of {MEMBERS})"
    )
    expect(rows.nth(1).locator("td").nth(2)).to_have_text(
        f"{BACK_OF_HELD_OUT / HELD_OUT * 100:.1f} % ({BACK_OF_HELD_OUT} of {HELD_OUT})"
    )
    expect(page.get_by_role("img", name="percentage points more")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Goal: to enter")).to_have_value(CAME_BACK)
    page.get_by_role("combobox", name="Within").select_option("1 day")
    expect(rows.nth(1).locator("td").nth(1)).to_have_text(f"0.0 % (0 of {MEMBERS})")


def test_preview_shows_the_mail_closed_in(page: Page, stack: Stack) -> None:
    """Its HTML in a frame with its styles, its text and its headers; nothing is sent."""
    before = select(stack, "SELECT count(*) FROM outbox")
    go(page, "templates", WELCOME)
    page.get_by_label("With the data of the user").fill("member3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Your first call met a 400!")).to_be_visible()
    frame = page.frame_locator("iframe.mail")
    expect(frame.get_by_role("heading", name="Hi there!")).to_have_css("font-size", "20px")
    expect(page.get_by_label("With the data of the user")).to_be_focused()
    page.get_by_text("Text of the mail").click()
    expect(page.get_by_label("Text of the mail")).to_contain_text("that is quickly mended.")
    expect(page.locator("iframe.mail")).to_have_attribute("sandbox", "")
    assert select(stack, "SELECT count(*) FROM outbox") == before
    assert "user=member3" in page.url


@pytest.mark.usefixtures("hostile")
def test_preview_runs_and_loads_nothing(page: Page, showing: Visit) -> None:
    """A template may hold anything: in the frame no script runs, and no picture is asked for."""
    showing.expected = ["console "]
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))
    go(page, "templates", HOSTILE, "user=member3")
    frame = page.frame_locator("iframe.mail")
    expect(frame.get_by_text("still here")).to_be_visible()
    assert any(url.endswith("/console/mail") for url in answered)
    assert [url for url in answered if url.endswith("/x")] == []
    expect(page.get_by_role("heading", level=3, name=MARKUP).first).to_be_visible()


@pytest.mark.usefixtures("hostile")
def test_values_are_never_markup(page: Page) -> None:
    """Of deliveries, suppressions and templates."""
    go(page, "deliveries", "", f"recipient={MARKUP}".replace("#", ""))
    expect(page.locator(".reason").first).to_contain_text("window.hacked=1")
    page.get_by_role("link", name="attempt 1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"To {MARKUP}")
    go(page, "suppressions", "", "address=hostile@example.com")
    expect(find(page, "hostile@example.com")).to_contain_text(f"by {MARKUP}.")
    go(page, "templates")
    expect(find(page, HOSTILE)).to_contain_text(MARKUP)
    page.get_by_role("link", name=HOSTILE).click()
    expect(page.locator(".facts").first).to_contain_text(MARKUP)
    assert page.locator("main img, main script, main svg").count() == 0


def test_what_is_typed_stays_while_the_list_arrives(page: Page) -> None:
    """A list that is slow takes nothing away from who types into a filter meanwhile."""
    held: list[Any] = []
    page.route("**/api/v1/deliveries*", lambda route: held.append(route))
    page.get_by_role("link", name="Deliveries").click()
    page.get_by_label("Recipient").fill("slow@")
    expect(page.locator(".loading")).to_be_visible()
    held.pop().continue_()
    expect(page.locator(".results > li").first).to_be_visible()
    expect(page.get_by_label("Recipient")).to_have_value("slow@")
    expect(page.get_by_label("Recipient")).to_be_focused()
    page.unroute("**/api/v1/deliveries*")
