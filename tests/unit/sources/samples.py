"""Items as clients send them."""

from typing import Any

from common.activities import Activity
from providers import Delivery
from sources import Item, find_source
from tests.integration.conftest import NOW

CALL: dict[str, Any] = {
    "request": {
        "time": "2026-11-21T11:00:00.250Z",
        "uri": "https://api.example.com/v1/orders/81273/items?page=2",
        "verb": "GET",
        "headers": {"Host": "api.example.com", "User-Agent": "acme-python/2.1.0", "Accept": "application/json"},
        "api_version": "1.1.0",
        "ip_address": "192.0.2.7",
    },
    "response": {
        "time": "2026-11-21T11:00:00.308Z",
        "status": 200,
        "headers": {"Content-Type": "application/json"},
        "body": {"items": [1, 2]},
    },
    "user_id": "user-7",
    "company_id": "acme",
    "transaction_id": "0d9ef7a1-5c36-4f0e-9b1c-8a3f6f1f2a55",
    "direction": "Incoming",
    "weight": 4,
    "session_token": "s-1",
    "metadata": {"plan": "pro", "region": "eu"},
}
ACTION: dict[str, Any] = {
    "action_name": "Viewed pricing",
    "request": {
        "time": "2026-11-21T11:00:01.000Z",
        "uri": "https://www.example.com/pricing/ann@example.com",
        "user_agent_string": "Mozilla/5.0",
    },
    "user_id": "user-7",
    "metadata": {"button": "top"},
}
TRACK: dict[str, Any] = {
    "type": "track",
    "event": "Order completed",
    "userId": "user-7",
    "anonymousId": "anon-1",
    "messageId": "5c6f0d0e-1ad2-4bc1-8e2e-6d4f50a1b0c9",
    "timestamp": "2026-11-21T11:00:02.000Z",
    "properties": {"total": 12.5, "path": "/orders/9"},
    "context": {"library": {"name": "analytics-python", "version": "2.4.0"}, "groupId": "acme"},
}


def parse(source: str, collection: str, body: bytes) -> list[Item]:
    """What a body of a collection says, received at NOW."""
    found = find_source(source)
    assert found is not None
    return list(found.parse(body, Delivery(NOW, "application/json", collection)))


def restore(activity: Activity) -> dict[str, Any]:
    """The item that an activity was made from."""
    found = find_source(activity.operation.source)
    assert found is not None
    return found.restore(activity)
