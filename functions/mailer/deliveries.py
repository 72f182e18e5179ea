"""Reports each attempt through the raw bucket, so that it is loaded, kept and replayable like everything else."""

import hashlib
from datetime import datetime
from typing import Any

from common.clock import format_instant
from common.json_text import encode_json
from common.objects import Bucket
from mailer.outcomes import Outcome

PROVIDER = "mailwake"


def report(bucket: Bucket, body: dict[str, Any], attempt: int, recipient: str, outcome: Outcome, now: datetime) -> None:
    """Puts the report of one attempt; the same one again stays as it is. Raises `AwsError`."""
    notification = body["notification"]
    # What a template did is counted by its deliveries; a test did nothing.
    template = (body.get("template") if body.get("kind") != "test" else None) or {}
    told = {
        "id": body["id"],
        "attempt": attempt,
        "at": format_instant(now),
        "notification": notification["name"],
        "cohort": notification["cohort"],
        "channel": next(iter(notification["channel"])),
        "recipient": recipient or None,
        "state": outcome.state,
        "error": outcome.error or None,
        "status": outcome.status,
        "message_id": outcome.message_id or None,
        "template": template.get("name"),
        "template_version": template.get("version"),
        "user": (body.get("user") or {}).get("id"),
    }
    text = encode_json(told)
    digest = hashlib.sha256(text).hexdigest()
    key = f"raw/{PROVIDER}/{now:%Y/%m/%d/%H}/{body['id']}-{attempt}-{outcome.state}"
    metadata = {"provider": PROVIDER, "received-at": format_instant(now), "content-type": "application/json"}
    bucket.put_new(key, text, metadata, digest)
