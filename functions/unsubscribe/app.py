"""Entry point of the links in mails: `GET` and `POST /unsubscribe/{token}`.

Programs follow links: a GET shows a page and changes nothing. A POST unsubscribes, from whatever asks (RFC 8058).
"""

import base64
import hashlib
import json
import logging
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs

from common.aws import AwsError
from common.clock import format_instant, now
from common.objects import Bucket
from common.responses import Response
from common.secrets import KeptSecret
from common.settings import read_text
from common.suppression_table import ALL, Suppression, SuppressionTable
from mailer.unsubscribing import Keys, Subscription, read_keys, read_token
from unsubscribe.pages import show_done, show_form, show_problem

PROVIDER: Final = "mailwake"
UNSUBSCRIBED: Final = "unsubscribed"
UNSUBSCRIBE: Final = "unsubscribe"

log = logging.getLogger(__name__)


@cache
def _keys() -> Keys:
    return KeptSecret(read_text("UNSUBSCRIBE_SECRET_ID"), read_keys)


@cache
def _table() -> SuppressionTable:
    return SuppressionTable(read_text("SUPPRESSIONS_TABLE"))


@cache
def _bucket() -> Bucket:
    return Bucket(read_text("RAW_BUCKET"))


def handler(event: dict[str, Any], _context: object) -> Response:
    """Answers with a page, whatever happens."""
    try:
        subscription = read_token((event.get("pathParameters") or {}).get("token", ""), _keys().find())
        if subscription is None:
            return show_problem(404, "This link is not one of ours, or a part of it is missing.")
        if event["requestContext"]["http"]["method"] != "POST":
            return show_form(subscription.topic)
        if _asks_for_all(event):
            subscription = subscription._replace(topic=ALL)
        _unsubscribe(subscription, event["requestContext"]["requestId"])
    except (AwsError, ValueError) as failure:
        log.error("not unsubscribed", extra={"error": type(failure).__qualname__})
        return show_problem(503, "This did not work. Please try again in a minute.")
    return show_done(subscription.topic)


def _asks_for_all(event: dict[str, Any]) -> bool:
    """Whether the page's second button was pressed; mail programs send `List-Unsubscribe=One-Click`."""
    text = event.get("body") or ""
    if event.get("isBase64Encoded"):
        text = base64.b64decode(text).decode(errors="replace")
    return parse_qs(text[:1_000]).get("scope") == ["all"]


def _unsubscribe(subscription: Subscription, request_id: str) -> None:
    """The mailer's list first: from now on no mail goes. Raises `AwsError`; then it is asked for again."""
    at = now()
    told = format_instant(at)
    _table().save(Suppression(subscription.address, subscription.topic, UNSUBSCRIBED, UNSUBSCRIBE, told))
    report = {
        "kind": UNSUBSCRIBE,
        "id": request_id,
        "address": subscription.address,
        "topic": subscription.topic,
        "at": told,
        "delivery": subscription.mail,
    }
    text = json.dumps(report).encode()
    name = hashlib.sha256(request_id.encode()).hexdigest()[:32]
    metadata = {"provider": PROVIDER, "received-at": told, "content-type": "application/json"}
    key = f"raw/{PROVIDER}/{at:%Y/%m/%d/%H}/{UNSUBSCRIBE}-{name}"
    _bucket().put_new(key, text, metadata, hashlib.sha256(text).hexdigest())
    log.info("unsubscribed", extra={"topic": subscription.topic})
