"""docs/notifications.md says what is so."""

import base64
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cohort_evaluator.aggregates import MOST, WAYS, read_aggregates
from cohort_evaluator.channels import MOST_ENTRIES as MOST_NAMED
from cohort_evaluator.channels import USUAL_LIMIT, USUAL_PERIOD, read_notification
from cohort_evaluator.mails_due import CAPPED, DROPPED, USUAL_PATIENCE
from mailer import outcomes
from mailer.outcomes import PAUSES
from mailer.template_checks import DEEPEST_LOOP, KNOWN, LONGEST, MOST_NODES, check_template
from mailer.templates import (
    LARGEST,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    MOST_DATA,
    MOST_ENTRIES,
    make_context,
    render,
)
from mailer.webhooks import build_webhook, sign

PAGE = (Path(__file__).parents[3] / "docs" / "notifications.md").read_text(encoding="utf-8")
FENCES = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
DECODER = json.JSONDecoder()


def read_blocks(text: str) -> list[Any]:
    """The JSON values that stand one behind the other."""
    values = []
    while text.strip():
        value, end = DECODER.raw_decode(text.strip())
        values.append(value)
        text = text.strip()[end:]
    return values


BLOCKS = [value for language, text in FENCES.findall(PAGE) if language == "json" for value in read_blocks(text)]
(NOTIFICATION,) = [block for block in BLOCKS if "cohort" in block]
CHANNELS = [block for block in BLOCKS if len(block) == 1]
(WEBHOOK,) = [block for block in BLOCKS if "type" in block]
(TEMPLATE,) = [block for block in BLOCKS if "html" in block]
(FIGURES,) = [block for block in BLOCKS if "calls_today" in block]


@pytest.mark.parametrize("channel", CHANNELS, ids=str)
def test_channels_are_read(channel: Any) -> None:
    """Each example is a channel of a notification, and all four have one."""
    read_notification({**NOTIFICATION, "on": ["entered"], "channel": channel})
    assert {name for block in CHANNELS for name in block} == {"email", "slack", "webhook", "mail"}


def test_fields_are_told() -> None:
    """With their defaults."""
    read = read_notification({key: NOTIFICATION[key] for key in ("name", "cohort", "on", "channel")})
    assert read == read_notification({**NOTIFICATION, "fields": []})
    rows = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", PAGE.partition("## Channels")[0], re.MULTILINE))
    assert set(rows) == set(NOTIFICATION)
    assert (rows["period"].strip(" `"), rows["limit"].strip()) == (USUAL_PERIOD, str(USUAL_LIMIT))
    assert f"up to {MOST_NAMED:,}" in PAGE


def test_webhook_is_as_it_is_sent() -> None:
    """And the function on the page verifies it, by either key."""
    data = WEBHOOK["data"]
    cohort = {"cohort": data["cohort"]["name"], "cohort_title": data["cohort"]["title"], "subject": data["subject"]}
    body = {**data, "created_at": WEBHOOK["timestamp"], "notification": {"name": data["notification"], **cohort}}
    payload = build_webhook(body)
    assert json.loads(payload) == WEBHOOK
    (source,) = [text for language, text in FENCES.findall(PAGE) if language == "python"]
    names: dict[str, Any] = {}
    exec(source, names)
    keys = ["whsec_" + base64.b64encode(word).decode() for word in (b"new", b"old", b"other")]
    headers = sign("ntf-1-2-3", datetime(2026, 11, 21, 12, tzinfo=UTC), payload, keys[:2])
    assert [names["is_genuine"](headers, payload, key) for key in keys] == [True, True, False]
    assert not names["is_genuine"](headers, payload + b" ", keys[0])


def test_template_is_one() -> None:
    """It is rendered for whoever has a name, and for whoever has none."""
    check_template(TEMPLATE)
    body = {"notification": {"cohort": "one", "cohort_title": "One"}, "user": {"id": "u", "address": "a", "traits": {}}}
    shown = render(TEMPLATE, make_context(body, "https://u.example/t"))
    assert shown.subject == "Hello, your first call met a 400"
    assert "https://u.example/t" in shown.html
    assert set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)))) >= {
        *TEMPLATE,
        "mjml",
    }


def test_figures_are_read() -> None:
    """Each example is one, and each way has a row."""
    assert len(read_aggregates(FIGURES)) == 4
    rows = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE.partition("### Figures")[2].partition("### ")[0], re.MULTILINE
    )
    assert {name for row in rows for name in re.findall(r"\w+", row)} == set(WAYS)
    assert f"up to {MOST}." in PAGE.partition("### Figures")[2]


def test_limits_and_names_are_told() -> None:
    """Of templates, of states, and the pauses between attempts."""
    names = {name.partition(".")[0] for name in re.findall(r"`([\w.]+)`", PAGE.partition("### Templates")[2])}
    assert set(KNOWN) <= names
    limits = (LONGEST["subject"], LONGEST["html"], LONGEST_SUBJECT, LARGEST, LONGEST_TEXT, MOST_ENTRIES, MOST_DATA)
    for number in (*limits, MOST_NODES):
        assert f"{number:,}" in PAGE.partition("### Templates")[2]
    states = {
        outcomes.SENT,
        outcomes.FAILED,
        outcomes.RETRYING,
        outcomes.UNKNOWN,
        outcomes.SUPPRESSED,
        outcomes.HELD_OUT,
        CAPPED,
        DROPPED,
    }
    assert (
        set(re.findall(r"^\| `(\w+)` \| ", PAGE.partition("| `state`")[2].partition("## Mails")[0], re.MULTILINE))
        == states
    )
    assert f"| `give_up` | `{USUAL_PATIENCE}` |" in PAGE
    hours = [pause.total_seconds() / 3600 for pause in PAUSES]
    assert hours == [5 / 3600, 30 / 3600, 2 / 60, 10 / 60, 0.5, 1, 2, 4, 8, 12, 12, 12], "as the row of retrying says"
    assert DEEPEST_LOOP == 2
