import base64
import hashlib
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from admin.api_keys import create_api_key, hash_api_key, revoke_api_key
from common.sessions import COOKIE, hash_id
from local.stack import Stack
from tests.console.conftest import Visit, sign_in
from tests.console.provider import Provider
from tests.console.traffic import ADA

HOME = "What became of a mail?"


def set_field(visit: Visit, stack: Stack, field: str, value: dict[str, str]) -> None:
    """Changes the session in its table."""
    (cookie,) = visit.context.cookies()
    stack.client("dynamodb").update_item(
        TableName=stack.name("SessionsTable"),
        Key={"session_hash": {"S": hash_id(cookie["value"])}},
        UpdateExpression=f"SET {field} = :value",
        ExpressionAttributeValues={":value": value},
    )


def set_end(visit: Visit, stack: Stack, field: str, seconds: int) -> None:
    """Lets the session end by `idle_until` or `expires_at` so many seconds from now."""
    set_field(visit, stack, field, {"N": str(int(time.time()) + seconds)})


def expect_signed_out(page: Page, words: str = "") -> None:
    """The sign-in page is there, and of what was shown nothing is left."""
    page.wait_for_url("**/console/sign-in*")
    expect(page.get_by_text(words or "Sign in").first).to_be_visible()
    expect(page.get_by_text(ADA)).to_have_count(0)


def test_key_signs_in_and_stays_out_of_reach(visit: Visit, stack: Stack) -> None:
    """The cookie is closed to scripts, and neither it nor the key is anywhere else in the browser."""
    page = sign_in(visit, stack)
    (cookie,) = visit.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (COOKIE, True, True, "Strict")
    assert cookie["expires"] == -1
    reached = page.evaluate("() => document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)")
    assert reached == "{}{}"
    assert stack.api_key not in page.content() + page.url


def test_wrong_key_is_refused(visit: Visit, stack: Stack) -> None:
    """With a word about it, and one may try again."""
    visit.expected = ["401 "]
    page = visit.page
    page.goto(f"{stack.url}/console/sign-in")
    page.get_by_label("API key").fill("mw_wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no valid API key")
    assert visit.find_faults() == []
    page.get_by_label("API key").fill(stack.api_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()


def test_shared_link_leads_there_over_the_sign_in(visit: Visit, stack: Stack) -> None:
    """Who is not signed in comes back to what the link shows."""
    page = visit.page
    page.goto(f"{stack.url}/console#/recipients/{ADA}?type=clicked")
    page.get_by_label("API key").fill(stack.api_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    expect(page.get_by_label("What happened")).to_have_value("clicked")


def test_sign_out_ends_it_for_every_tab(visit: Visit, stack: Stack) -> None:
    """On the server: a cookie that was kept is worth nothing, and going back shows nothing."""
    page = sign_in(visit, stack)
    page.goto(f"{stack.url}/console#/recipients/{ADA}")
    page.locator("article.message").first.wait_for()
    kept = visit.context.cookies()
    other = visit.open()
    other.goto(f"{stack.url}/console#/")
    page.get_by_role("button", name="Sign out").click()
    expect_signed_out(page, "You are signed out.")
    assert visit.find_faults() == []
    page.go_back()
    expect_signed_out(page)
    assert visit.context.cookies() == []
    visit.context.add_cookies([{**cookie} for cookie in kept])  # type: ignore[typeddict-item]
    visit.expected = ["401 "]
    other.get_by_label("Address, message id").fill(ADA)
    other.keyboard.press("Enter")
    expect_signed_out(other)


@pytest.mark.parametrize(("field", "words"), [("idle_until", "nothing was done"), ("expires_at", "has run out")])
def test_time_out_warns_says_so_and_comes_back(visit: Visit, stack: Stack, field: str, words: str) -> None:
    """Before it ends there is a warning; afterwards what was shown is gone, and one comes back to it."""
    page = sign_in(visit, stack)
    page.goto(f"{stack.url}/console#/recipients/{ADA}")
    page.locator("article.message").first.wait_for()
    set_end(visit, stack, field, 4)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("signed out within a minute")
    assert visit.find_faults() == []
    expect_signed_out(page, words)
    assert visit.find_faults() == []
    page.get_by_label("API key").fill(stack.api_key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)


def test_going_on_prolongs(visit: Visit, stack: Stack) -> None:
    """A click is enough, and the warning goes."""
    page = sign_in(visit, stack)
    set_end(visit, stack, "idle_until", 20)
    page.reload()
    warning = page.get_by_role("alert")
    expect(warning).to_be_visible()
    page.get_by_role("button", name="Stay signed in").click()
    expect(warning).to_have_count(0)


def test_revoked_key_signs_out(visit: Visit, stack: Stack) -> None:
    """Its sessions are over with it, as soon as nobody remembers that it was good: here at once."""
    dynamodb, table = stack.client("dynamodb"), stack.name("ApiKeysTable")
    gone = create_api_key(dynamodb, table, name="leaver", scopes=["events:read"])
    revoke_api_key(dynamodb, table, name_or_key="leaver")
    visit.expected = ["401 "]
    page = sign_in(visit, stack)
    set_field(visit, stack, "key_hash", {"S": hash_api_key(gone)})
    page.get_by_role("link", name="Arrivals").click()
    expect_signed_out(page)


def test_narrow_key_sees_masks(visit: Visit, stack: Stack) -> None:
    """And is told why, also where it can't look."""
    visit.expected = ["403 "]
    key = create_api_key(stack.client("dynamodb"), stack.name("ApiKeysTable"), name="narrow", scopes=["events:read"])
    page = sign_in(visit, stack, key)
    page.goto(f"{stack.url}/console#/recipients/{ADA}")
    expect(page.locator("article.message")).to_have_count(3)
    page.locator(".timeline a").first.click()
    expect(page.get_by_text("original needs the scope pii:read")).to_be_visible()
    page.goto(f"{stack.url}/console#/search?q=ada")
    expect(page.get_by_text("Type a whole address.")).to_be_visible()
    assert visit.find_faults() == []


def test_other_origins_get_nothing_by_the_cookie(visit: Visit, stack: Stack, provider: Provider) -> None:
    """A page on another port is of the same site, so the cookie is sent along: it must not count there."""
    sign_in(visit, stack)
    statuses: list[int] = []
    other = visit.context.new_page()
    other.on("response", lambda response: statuses.append(response.status) if stack.url in response.url else None)
    other.goto(f"{provider.url}/authorize?redirect_uri=x&state=x")
    fetch = "url => fetch(url, {mode: 'no-cors', credentials: 'include'}).catch(() => null).then(() => 1)"
    other.evaluate(fetch, f"{stack.url}/api/v1/recipients/{ADA}")
    other.goto(f"{stack.url}/api/v1/recipients/{ADA}")
    assert statuses == [401, 401]


@pytest.fixture(autouse=True)
def honest(provider: Provider) -> Iterator[None]:
    """The provider says what is true."""
    yield
    provider.changes.clear()
    provider.wrong.clear()


def meet_provider(visit: Visit, stack: Stack, place: str = "") -> Page:
    """To the provider's page, from the console."""
    page = visit.page
    page.goto(f"{stack.url}/console{place}")
    page.get_by_role("link", name="Sign in with 127.0.0.1").click()
    page.get_by_role("heading", name="Who are you?").wait_for()
    return page


def test_provider_signs_in(visit: Visit, provider_stack: Stack, provider: Provider) -> None:
    """By a code with PKCE; the browser gets no token, and comes back to where it was."""
    page = meet_provider(visit, provider_stack, f"#/recipients/{ADA}")
    assert "#" not in page.url
    page.get_by_role("link", name="approve").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ADA)
    expect(page.locator(".who")).to_contain_text("oidc:auth0|5f7c8ec7c33c6c004bbafe82")
    (cookie,) = visit.context.cookies()
    assert cookie["name"] == COOKIE
    assert "." not in cookie["value"]
    asked = provider.asked[-1]
    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert len(base64.urlsafe_b64decode(asked["code_challenge"] + "=")) == hashlib.sha256().digest_size
    assert asked["redirect_uri"] == f"{provider_stack.url}/console/signed-in"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3


def test_key_does_not_sign_in_beside_a_provider(visit: Visit, provider_stack: Stack) -> None:
    """There is no form for it, and no door behind the form."""
    page = visit.page
    page.goto(f"{provider_stack.url}/console/sign-in")
    expect(page.get_by_label("API key")).to_have_count(0)
    assert visit.find_faults() == []
    send = "key => fetch('/console/sign-in', {method: 'POST', body: new URLSearchParams({key})}).then(r => r.status)"
    assert page.evaluate(send, provider_stack.api_key) == 200
    assert visit.context.cookies() == []


def test_refusal_at_the_provider_is_told(visit: Visit, provider_stack: Stack) -> None:
    """One may try again."""
    visit.expected = ["403 "]
    page = meet_provider(visit, provider_stack)
    page.get_by_role("link", name="refuse").click()
    expect(page.get_by_role("alert")).to_contain_text("You were not signed in")
    page.get_by_role("link", name="Sign in with 127.0.0.1").click()
    page.get_by_role("link", name="approve").click()
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()


@pytest.mark.parametrize(
    ("wrong", "changes", "words"),
    [
        ({"nonce": "another"}, {}, "not for this sign-in"),
        ({"nonce": None}, {}, "not for this sign-in"),
        ({"aud": "another"}, {}, "not for this sign-in"),
        ({"iss": "https://another.example.com"}, {}, "not for this sign-in"),
        ({"exp": 1_700_000_000}, {}, "not for this sign-in"),
        ({"sub": "somebody else"}, {}, "not about the same person"),
        ({}, {"aud": "another"}, "not one for this API"),
        ({}, {"scope": "openid"}, "may not look at events"),
    ],
    ids=str,
)
def test_wrong_tokens_sign_nobody_in(
    visit: Visit, provider_stack: Stack, provider: Provider, wrong: dict[str, str], changes: dict[str, str], words: str
) -> None:
    """Each claim that must fit is checked, and it is said what is wrong."""
    visit.expected = ["403 "]
    provider.wrong.update(wrong)
    provider.changes.update(changes)
    page = meet_provider(visit, provider_stack)
    page.get_by_role("link", name="approve").click()
    expect(page.get_by_role("alert")).to_contain_text(words)
    assert COOKIE not in {cookie["name"] for cookie in visit.context.cookies()}


def test_answer_counts_once_and_in_its_own_browser(visit: Visit, provider_stack: Stack) -> None:
    """A code that somebody else was sent, or that came before, signs nobody in."""
    visit.expected = ["400 ", "403 "]
    page = meet_provider(visit, provider_stack)
    with page.expect_request("**/console/signed-in*") as sent:
        page.get_by_role("link", name="approve").click()
    expect(page.get_by_role("heading", name=HOME)).to_be_visible()
    visit.context.clear_cookies()
    page.goto(sent.value.url)
    expect(page.get_by_role("alert")).to_contain_text("began in another window")
    meet_provider(visit, provider_stack)
    page.goto(sent.value.url)
    expect(page.get_by_role("alert")).to_contain_text("began in another window")


def test_token_that_runs_out_signs_out(visit: Visit, provider_stack: Stack, provider: Provider) -> None:
    """With the token's end, whatever one does."""
    provider.changes["exp"] = int(time.time()) + 6
    page = meet_provider(visit, provider_stack)
    page.get_by_role("link", name="approve").click()
    expect(page.get_by_role("alert")).to_contain_text("signed out within a minute")
    page.keyboard.press("a")
    expect_signed_out(page, "has run out")
