import base64

import pytest

from providers.verification import UnverifiedError, check_basic_auth


def build_header(text: str, scheme: str = "Basic") -> dict[str, str]:
    """An Authorization header."""
    return {"authorization": f"{scheme} {base64.b64encode(text.encode()).decode()}"}


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
