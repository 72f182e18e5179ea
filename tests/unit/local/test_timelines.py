from typing import Any

from local.timelines import describe_event, draw_recipient

NOTHING = {"last_delivered": None, "last_opened": None, "last_clicked": None, "bounces": 0, "hard_bounces": 0}


def find(**more: Any) -> dict[str, Any]:
    """What the API says of an address without any events, but for what is given."""
    standing = {**NOTHING, "suppression": None, **more.pop("standing", {})}
    return {"recipient": "ada@example.com", "standing": standing, "messages": [], "other_events": [], **more}


def test_unknown_address() -> None:
    """An address without events has its standing."""
    assert draw_recipient(find()) == "ada@example.com\n  not suppressed"


def test_message_with_its_state_and_events() -> None:
    """A message is a line with its state, then a line for each event."""
    events = [
        {"timestamp": "2026-11-21T09:00:00.000Z", "type": "injection"},
        {"timestamp": "2026-11-21T09:00:01.000Z", "type": "bounce", "raw_reason": "550 unknown"},
    ]
    message = {"began_at": events[0]["timestamp"], "subject": None, "campaign": "june", "events": events}
    cause = {"timestamp": events[1]["timestamp"], "description": "bounced hard"}
    found = find(
        standing={"bounces": 1, "hard_bounces": 1, "suppression": cause},
        messages=[{**message, "state": {"description": "bounced hard"}}],
        other_events=events[:1],
    )
    assert draw_recipient(found).splitlines() == [
        "ada@example.com",
        "  bounces 1, 1 of them hard",
        "  suppressed since 2026-11-21 09:00:01: bounced hard",
        "",
        "2026-11-21 09:00:00  june: BOUNCED HARD",
        "  2026-11-21 09:00:00  injection",
        "  2026-11-21 09:00:01  bounce     550 unknown",
        "",
        "events that name no message",
        "  2026-11-21 09:00:00  injection",
    ]


def test_long_text_is_cut() -> None:
    """What an event has to say stays on its line."""
    assert describe_event({"raw_reason": "x" * 100}) == "x" * 59 + "…"
