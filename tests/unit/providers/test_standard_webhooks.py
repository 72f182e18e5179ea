import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from providers import UnverifiedError, WebhookRequest
from providers._standard_webhooks import check_standard_webhook, find_message_id

# The example of Svix's documentation of verifying by hand.
SECRET = "whsec_plJ3nmyCDGBKInavdOK15jsl"
MESSAGE_ID, TIME = "msg_loFOjxBNrRLzqYUf", "1731705121"
BODY = b'{"event_type":"ping","data":{"success":true}}'
SIGNATURE = "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
NOW = datetime.fromtimestamp(1731705121, UTC)
SVIX = {"svix-id": MESSAGE_ID, "svix-timestamp": TIME, "svix-signature": SIGNATURE}
STANDARD = {name.replace("svix", "webhook"): value for name, value in SVIX.items()}


def check(
    headers: Mapping[str, str] = SVIX,
    body: bytes = BODY,
    secrets: tuple[str, ...] = (SECRET,),
    late: timedelta = timedelta(0),
) -> None:
    """Checks a webhook."""
    check_standard_webhook(WebhookRequest("resend", "POST", headers, body), secrets, NOW + late)


def sign(message_id: str, time: str, body: bytes = BODY) -> str:
    """A signature under the secret."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, f"{message_id}.{time}.".encode() + body, "sha256")).decode()


@pytest.mark.parametrize("headers", [SVIX, STANDARD])
def test_the_documented_example(headers: dict[str, str]) -> None:
    """Under both names of the headers."""
    check(headers)
    check({**headers, "other": "header"}, late=timedelta(minutes=4))


def test_secrets_are_rotated() -> None:
    """Any live secret counts, with and without its prefix and padding, and any signature of those listed."""
    check(secrets=("whsec_bmV3IHNlY3JldA", SECRET))
    check(secrets=(f" {SECRET.removeprefix('whsec_')}\n", "not base64!"))
    listed = f"v1a,AAAA v1,bm9uZQ== v1,! {SIGNATURE} v2,AAAA"
    check(SVIX | {"svix-signature": listed})
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        check(secrets=("whsec_bmV3IHNlY3JldA==",))
    with pytest.raises(UnverifiedError, match="wrong credentials"):
        check(secrets=())
    with pytest.raises(UnverifiedError, match="not base64"):
        check(secrets=("not base64!",))


def test_any_change_is_refused() -> None:
    """One bit of the signature, the body, the id or the time."""
    changed = [
        (SVIX | {"svix-signature": SIGNATURE.replace("rAv", "rAw")}, BODY),
        (SVIX | {"svix-signature": SIGNATURE.replace("v1,", "v2,")}, BODY),
        (SVIX | {"svix-id": MESSAGE_ID + "x"}, BODY),
        (SVIX | {"svix-timestamp": str(int(TIME) + 1)}, BODY),
        (SVIX, BODY + b"\n"),
        (SVIX, b""),
    ]
    for headers, body in changed:
        with pytest.raises(UnverifiedError):
            check(headers, body)


@pytest.mark.parametrize("name", list(SVIX))
@pytest.mark.parametrize(
    "value", [None, "", " ", "ä", "v1", "v1,", "v1,ä", "-1", "1e9", "9" * 30, "\ud800", "1731705121.5"]
)
def test_missing_and_malformed_headers(name: str, value: str | None) -> None:
    """Whatever stands in a header, or nothing: refused, and no other error."""
    headers = {header: text for header, text in (SVIX | {name: value}).items() if text is not None}
    with pytest.raises(UnverifiedError):
        check(headers)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_old_signatures(minutes: int) -> None:
    """The time that is signed must be within five minutes."""
    with pytest.raises(UnverifiedError, match="too long ago"):
        check(late=timedelta(minutes=minutes))


def test_a_retry_has_another_time_and_the_same_id() -> None:
    """Each attempt is signed anew; the id is what makes it the same event."""
    time = str(int(TIME) + 7200)
    headers = {"svix-id": MESSAGE_ID, "svix-timestamp": time, "svix-signature": sign(MESSAGE_ID, time)}
    check(headers, late=timedelta(hours=2))
    request = WebhookRequest("resend", "POST", headers, BODY)
    assert find_message_id(request) == find_message_id(request._replace(headers=STANDARD)) == MESSAGE_ID
    assert find_message_id(request._replace(headers={})) == ""
    assert len(find_message_id(request._replace(headers={"svix-id": "x" * 900}))) == 200
