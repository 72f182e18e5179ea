"""Events as lines of an export: NDJSON as the search shows them, CSV with columns that stay."""

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from common.events import Event, Json
from common.json_text import encode_json
from query_events.csv_text import CSV, write_csv
from query_events.masking import mask_result
from query_events.pages import encode_event_key
from query_events.search import Page
from query_events.sparkpost_format import represent

# New ones come at the end. What else an event has is in NDJSON.
COLUMNS: Final = (
    *("timestamp", "event_type", "type", "provider", "provider_type", "event_key", "event_id"),
    *("rcpt_to", "recipient_domain", "message_id", "transmission_id", "campaign_id", "template_id", "subject"),
    *("friendly_from", "sending_domain", "sending_ip", "ip_pool", "subaccount_id", "bounce_kind", "bounce_class"),
    *("error_code", "reason", "machine_open", "target_link_url", "ip_address", "user_agent"),
    *("mailbox_provider", "mailbox_provider_region", "rcpt_tags", "rcpt_meta"),
)


class Format(NamedTuple):
    """How lines are written."""

    content_type: str
    heading: bytes
    encode: Callable[[list[Json]], bytes]


FORMATS: Final = {
    "ndjson": Format(
        "application/x-ndjson; charset=utf-8", b"", lambda rows: b"".join([encode_json(row) + b"\n" for row in rows])
    ),
    "csv": Format(CSV, write_csv(COLUMNS, ()), lambda rows: write_csv(COLUMNS, rows, heading=False)),
}


def show_page(page: Page, *, masked: bool) -> list[Json]:
    """The events as results, as somebody with or without `pii:read` sees them."""
    results = map(_show, page.events, page.keys)
    return [mask_result(result) for result in results] if masked else list(results)


def _show(event: Event, key: tuple[datetime, int]) -> Json:
    return represent(event) | {"event_key": encode_event_key(*key)}
