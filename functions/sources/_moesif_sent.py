"""Items of Moesif's as they were sent, from what was stored; and the header that is stored apart."""

from datetime import timedelta
from typing import Any, Final

from common.activities import ACTION, Activity
from common.events import Json
from common.json_text import decode_json
from providers._fields import NOTES
from sources._fields import show_instant, show_uuid

SOURCE: Final = "moesif"
CALLS: Final = "events"  # what the path of API calls is called in a delivery's query
UNTIMED: Final = "untimed"  # an action whose time is that of its arrival
AGENT: Final = "User-Agent"
SMALL_AGENT: Final = "user-agent"  # as Node.js and HTTP/2 have it


def find_agent_name(headers: Json) -> str | None:
    """What the header is called that may be taken out; None too where both are there: restoring could not tell."""
    if SMALL_AGENT not in headers:
        return AGENT if AGENT in headers else None
    return None if AGENT in headers else SMALL_AGENT


def take_agent(headers: Json, name: str) -> Any:
    """The user agent, taken out of the headers; an empty text stays where the name was in small letters."""
    agent = headers.pop(name)
    if name == SMALL_AGENT:
        headers[name] = ""
    return agent


def build_item(activity: Activity) -> Json:
    """The item as it was sent: what parsing took out of the detail put back; the order of fields is not kept."""
    item: Json = decode_json(activity.detail)
    untimed = item.pop(NOTES, None) == UNTIMED
    operation = activity.operation
    if activity.id_rest is not None:
        item["transaction_id"] = show_uuid(SOURCE, activity.key, activity.id_rest)
    if activity.identity is not None:
        item.setdefault("user_id", activity.identity.value)
    if activity.company is not None:
        item.setdefault("company_id", activity.company)
    if activity.weight is not None:
        item["weight"] = activity.weight
    if operation.activity_type != ACTION:
        _restore_call(item, activity)
        return item
    item.setdefault("action_name", operation.name)
    if "request" in item:
        if not untimed:
            item["request"].setdefault("time", show_instant(activity.occurred_at))
        if activity.agent is not None:
            item["request"]["user_agent_string"] = activity.agent
    return item


def _restore_call(item: Json, activity: Activity) -> None:
    operation = activity.operation
    request = item["request"]
    request.setdefault("time", show_instant(activity.occurred_at))
    if operation.method is not None:
        request.setdefault("verb", operation.method)
    if operation.api_version is not None:
        request["api_version"] = operation.api_version
    if activity.agent is not None:
        headers = request["headers"]
        headers[SMALL_AGENT if SMALL_AGENT in headers else AGENT] = activity.agent
    if operation.direction is not None:
        item["direction"] = operation.direction
    if item.get("response") is not None:
        response = item["response"]
        if operation.status is not None:
            response["status"] = operation.status
        if activity.duration is not None:
            response.setdefault("time", _show_end(activity))


def _show_end(activity: Activity) -> str:
    return show_instant(activity.occurred_at + timedelta(milliseconds=activity.duration or 0))
