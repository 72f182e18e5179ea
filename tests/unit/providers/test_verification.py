import base64

import pytest

from providers import UnverifiedError, WebhookRequest
from providers._verification import check_shared_secret


def build_header(text: str, scheme: str = "Basic") -> dict[str, str]:
    """An Authorization header."""
    return {"authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


def check_basic_auth(headers: dict[str, str], secrets: list[str]) -> None:
    """Checks a webhook with these headers."""
    check_shared_secret(WebhookRequest("sparkpost", "POST", headers, b"[]"), secrets)


LIVE = ["new password", "ada:old:password", "pässword"]


@pytest.mark.parametrize("given", ["mailwake:new password", "ada:old:password", "mailwake:pässword"])
def test_every_live_secret_is_accepted(given: str) -> None:
    """Old and new secrets work at once; a secret without a user belongs to `mailwake`."""
    check_basic_auth(build_header(given), LIVE)
    check_basic_auth(build_header(given, scheme="bAsIc"), LIVE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Basic"},
        {"authorization": "Basic !!!"},
        {"authorization": "Basic " + "ä"},
        build_header("mailwake:new passwor"),
        build_header("mailwake:new password "),
        build_header("new password"),
        build_header("ada:"),
        build_header("mailwake:ada:old:password"),
        build_header("mailwake:new password", scheme="Bearer"),
    ],
)
def test_anything_else_is_refused(headers: dict[str, str]) -> None:
    """Missing, malformed and wrong credentials are refused alike."""
    with pytest.raises(UnverifiedError):
        check_basic_auth(headers, LIVE)


def test_without_secrets_nobody_gets_in() -> None:
    """A provider that is not set up accepts nothing, not even nothing."""
    with pytest.raises(UnverifiedError):
        check_basic_auth(build_header(":"), [])
    with pytest.raises(UnverifiedError):
        check_basic_auth(build_header("mailwake:"), [])


@pytest.mark.parametrize("given", ["new password", "old:password", "pässword"])
def test_the_path_may_hold_the_password(given: str) -> None:
    """Where a provider can send no credentials, the password is a part of the webhook's URL."""
    check_shared_secret(WebhookRequest("sparkpost", "POST", {}, b"[]", path_secret=given), LIVE)


@pytest.mark.parametrize(
    "given", ["new passwor", "mailwake:new password", "ada:old:password", "ada", "mailwake", "-", "\udc80"]
)
def test_another_path_is_refused(given: str) -> None:
    """Only a password counts, and credentials in the header don't help a wrong one."""
    headers = build_header("mailwake:new password")
    with pytest.raises(UnverifiedError):
        check_shared_secret(WebhookRequest("sparkpost", "POST", headers, b"[]", path_secret=given), LIVE)
