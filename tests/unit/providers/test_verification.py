import base64
import hmac
from collections.abc import Callable

import pytest

from providers import UnverifiedError, WebhookRequest
from providers._verification import check_equal, check_hmac, check_shared_secret


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


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time taken tells neither how much of a secret was right nor which one: none is left out, none cut short."""
    compared = []

    def note(given: bytes, wanted: bytes, compare: Callable[[bytes, bytes], bool] = hmac.compare_digest) -> bool:
        compared.append(wanted)
        return compare(given, wanted)

    monkeypatch.setattr(hmac, "compare_digest", note)
    check_equal(b"a", [b"a", b"b", b"c"])
    assert compared == [b"a", b"b", b"c"]
    compared.clear()
    check_hmac(hmac.digest(b"one", b"body", "sha256"), ["one", "two"], b"body")
    assert len(compared) == 2
    compared.clear()
    check_basic_auth(build_header("mailwake:new password"), LIVE)
    check_shared_secret(WebhookRequest("sparkpost", "POST", {}, b"[]", path_secret="new password"), LIVE)
    assert len(compared) == 2 * len(LIVE)


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
