"""What the console's tests look at: a recipient with a life, campaigns over days, and values that try to be markup."""

from typing import Any

from local.stack import Stack
from tests.stack.client import await_true, make_event, post, select

ADA = "ada.lovelace@example.com"
MARKUP = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
HOSTILE = '"><svg/onload=window.hacked=1>@example.com'
ANALYTICAL = "<20261121.0001@mail.example.com>"
BUSY = "busy@example.net"
BUSY_MESSAGES = 70
DIGESTS: list[dict[str, Any]] = [
    {"campaign_id": "Digests, odd"},
    {"campaign_id": "Digests, even"},
    {"campaign_id": None},
]
DAY = 86_400
CAMPAIGNS = {"Autumn sale": 9, "Order confirmations": 5, "Newsletter, November": 3}


def _make(recipient: str, kind: str, minutes: int, message: str, **fields: Any) -> dict[str, Any]:
    return make_event(recipient, kind=kind, age=minutes * 60, message_id=message, **fields)


def build_ada() -> list[dict[str, Any]]:
    """A message that was opened and clicked, one put off and then bounced, one that waits, one without a message."""
    order = {"subject": "Your order 4711 is on its way", "campaign_id": "Order confirmations"}
    sale = {"subject": "Autumn sale for tea: 30 % off", "campaign_id": "Autumn sale"}
    reason = "550 5.1.1 <ada.lovelace@example.com>: Recipient address rejected: User unknown"
    busy = {"raw_reason": "421 4.7.0 Too busy, try again later"}
    agent = {"user_agent": "Mozilla/5.0 (Macintosh) Safari/605.1.15"}
    link = {"target_link_url": "https://shop.example.com/orders/4711?token=abc"}
    return [
        _make(ADA, "injection", 4330, "000a4711000000000001", **order),
        _make(ADA, "delivery", 4329, "000a4711000000000001", **order),
        _make(ADA, "open", 4300, "000a4711000000000001", **order, **agent),
        _make(ADA, "click", 4299, "000a4711000000000001", **order, **agent, **link),
        _make(ADA, "injection", 95, "000a4711000000000002", **sale),
        _make(ADA, "delay", 94, "000a4711000000000002", **sale, **busy),
        _make(ADA, "bounce", 60, "000a4711000000000002", **sale, bounce_class="10", raw_reason=reason),
        _make(ADA, "injection", 20, ANALYTICAL, subject="Reset your password", campaign_id="Accounts"),
    ]


def build_hostile() -> list[dict[str, Any]]:
    """Markup wherever a sender, a server or a reader can put some."""
    fields = dict.fromkeys(("subject", "campaign_id", "template_id", "raw_reason", "user_agent", "ip_pool"), MARKUP)
    link = {"target_link_url": f"javascript:window.hacked=1//{MARKUP}", "rcpt_meta": {MARKUP: MARKUP}}
    kinds = ("injection", "bounce", "open", "click")
    return [_make(HOSTILE, kind, 50 - number, f"m-{MARKUP}", **fields, **link) for number, kind in enumerate(kinds)]


def build_busy() -> list[dict[str, Any]]:
    """A recipient of more messages than a page holds; only the oldest was clicked."""
    kinds = ["injection"] * BUSY_MESSAGES + ["click"]
    ages = [*range(5, 5 + BUSY_MESSAGES), 4 + BUSY_MESSAGES]
    return [
        _make(
            BUSY,
            kind,
            age,
            f"000b{min(number, BUSY_MESSAGES - 1):016}",
            subject=f"Digest {number}",
            **DIGESTS[number % 3],
        )
        for number, (kind, age) in enumerate(zip(kinds, ages, strict=True))
    ]


def build_days() -> list[dict[str, Any]]:
    """Ten days of mail of three campaigns, with a few bounces and a complaint."""
    events = []
    for number in range(10):
        for campaign, size in CAMPAIGNS.items():
            for index in range(size + (number * 7) % 4):
                own = {"campaign_id": campaign, "subject": f"{campaign.replace(',', '')} part {number}"}
                address, message = f"reader{index}@example.org", f"d{number}-{campaign[:3]}-{index}"
                minutes = number * 24 * 60 + 30
                end = "bounce" if (index + number) % 8 == 7 else "delivery"
                more = {"bounce_class": "10", "raw_reason": "550 no such user"} if end == "bounce" else {}
                events.append(_make(address, "injection", minutes, message, **own))
                events.append(_make(address, end, minutes - 1, message, **own, **more))
                if end == "delivery" and (index * 3 + number) % 17 == 5:
                    events.append(_make(address, "spam_complaint", minutes - 9, message, **own))
    return events


def load(stack: Stack) -> None:
    """Posts a recipient's life and ten days of campaigns, and waits until they are there."""
    events = [*build_ada(), *build_days()]
    for start in range(0, len(events), 100):
        assert post(stack, events[start : start + 100]) == 200
    await_true(lambda: select(stack, "SELECT count(*) FROM events")[0][0] >= len(events), "the console's events")


def load_hostile(stack: Stack) -> None:
    """Posts the hostile values, an event that nobody can read, and a recipient of many messages."""
    assert post(stack, build_busy()) == 200
    events = build_hostile()
    unreadable = {"type": "delivery", "rcpt_to": HOSTILE, "timestamp": MARKUP, "event_id": "1"}
    assert post(stack, [*events, {"msys": {"message_event": unreadable}}]) == 200
    await_true(lambda: select(stack, "SELECT count(*) FROM quarantine")[0][0] >= 1, "the hostile values")
