"""The console's views, each in a state that a test looks at."""

from typing import NamedTuple
from urllib.parse import quote

from playwright.sync_api import Page, expect

from local.stack import Stack
from tests.console import telling
from tests.console.cohorts import CAME_BACK, CIRCLE, FAILING
from tests.console.traffic import ADA, HOSTILE, MARKUP


class View(NamedTuple):
    """One state of the page: where it is, what shows that it is there, and its picture's name."""

    place: str
    shows: str  # a text in it
    picture: str = ""


def at(view: str, value: str = "", query: str = "") -> str:
    """The address of a view."""
    return f"#/{view}{'/' + quote(value, safe='') if value else ''}{'?' + query if query else ''}"


ORDER = "000a4711000000000001"
VIEWS = (
    View("#/", "Type into the box above"),
    View(at("recipients", ADA), "Should not be mailed", "recipient"),
    View(at("recipients", "nobody@example.com"), "Nothing is known of this address."),
    View(at("recipients", ADA, "type=complained"), "None of the messages fits."),
    View(at("recipients", HOSTILE), MARKUP),
    View(at("messages", ORDER), "Delivered, opened and clicked", "message"),
    View(at("messages", "000a4711999999999999"), "Nothing is known of this message."),
    View(at("events", "nothing"), "There is no such event."),
    View(at("search", "", "q=autumn sale"), "Autumn sale for tea: 30 % off", "search"),
    View(at("search", "", "q=ada"), ADA),
    View(at("search", "", "q=zeppelin"), "Nothing found."),
    View(at("search"), "Type what you know of the mail."),
    View(at("metrics"), "All days together", "delivery"),
    View(at("metrics", "", "by=provider&days=7"), "All days together"),
    View(at("usage"), "Measured beside it", "usage"),
    View(at("usage", "", "days=7&company=globex&metric=queue_length"), "Only globex: show all companies"),
    View(at("usage", "", f"days=365&metric={quote(MARKUP, safe='')}"), MARKUP),
    View(at("usage", "", "company=nobody"), "No API call in these days."),
    View(at("cohorts"), "Two failed calls within 2 days, no bounce", "cohorts"),
    View(at("cohorts", FAILING), "Who entered and left", "cohort"),
    View(at("cohorts", CIRCLE[0]), "Nobody is in now."),
    View(at("cohorts", "nothing"), "There is no such cohort."),
    View(at("notifications"), "when somebody enters or leaves", "notifications"),
    View(at("notifications", telling.MAIL, f"goal={CAME_BACK}"), "To be mailed"),
    View(at("notifications", telling.HOOK), "It answered 503 (status 503)."),
    View(at("notifications", "nothing"), "There is no such notification."),
    View(at("deliveries"), "Whether it went", "deliveries"),
    View(at("deliveries", "", "state=failed&recipient=nobody@example.com"), "None of the deliveries fits."),
    View(at("deliveries", "mail-9-501"), "Html: line 3: name is missing."),
    View(at("deliveries", "nothing"), "There is no such delivery."),
    View(at("suppressions"), "Put on the list by hand, by ann.", "suppressions"),
    View(at("suppressions", "", f"address={ADA}"), "It is on the list."),
    View(at("suppressions", "", "address=nobody@example.com"), "It is not on the list."),
    View(at("templates"), "Your first call met a 400!", "templates"),
    View(at("templates", telling.WELCOME, f"goal={CAME_BACK}"), "To be mailed", "template"),
    View(at("templates", telling.WELCOME, "user=member3"), "Nothing is loaded from elsewhere"),
    View(at("templates", "nothing"), "There is no such template."),
    View(at("arrivals"), "Could not be read", "arrivals"),
    View("#/nothing", "There is no such view"),
)


def open_view(page: Page, stack: Stack, view: View) -> None:
    """Goes there and waits until all of it is there."""
    page.goto(f"{stack.url}/console{view.place}")
    page.locator("main").get_by_text(view.shows).first.wait_for()
    expect(page.locator(".loading")).to_have_count(0)
