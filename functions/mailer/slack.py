"""Digests in Slack, through an incoming webhook. Source: https://api.slack.com/messaging/webhooks, and Block Kit."""

from datetime import datetime
from typing import Any, Final

from common.json_text import encode_json
from mailer.outcomes import Outcome
from mailer.outgoing import Outgoing
from mailer.webhooks import post
from mailer.wording import list_entries, name_counts, name_period

LONGEST_SECTION: Final = 2_900  # characters; Slack takes 3,000
MOST_SHOWN: Final = 20


def escape(text: str) -> str:
    """What Slack takes for no markup of its own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def build_blocks(body: dict[str, Any]) -> dict[str, Any]:
    """A digest as blocks, with a text for notifications."""
    title = f"{body['notification']['cohort_title']}: {name_counts(body)}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:150], "emoji": False}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": escape(name_period(body))}]},
    ]
    for heading, name in (("Entered", "added"), ("Left", "removed")):
        if lines := list_entries(body[name][:MOST_SHOWN]):
            more = len(body[name]) - MOST_SHOWN
            text = "\n".join(f"• {escape(line)}" for line in lines) + (f"\n… and {more} more" if more > 0 else "")
            section = {"type": "mrkdwn", "text": f"*{heading}*\n{text}"[:LONGEST_SECTION]}
            blocks.append({"type": "section", "text": section})
    return {"text": escape(title), "blocks": blocks}


def send_slack(outgoing: Outgoing, url: str, body: dict[str, Any], now: datetime) -> Outcome:
    """One attempt. Slack knows no id that came before: what may have been posted is not posted again by itself."""
    return post(outgoing, url, encode_json(build_blocks(body)), {}, now, is_repeatable=False)
