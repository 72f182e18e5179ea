"""API calls, actions, users and companies in the shape of Moesif's client libraries.

Source: Moesif's collector API: an event is `{"request": {"time", "uri", "verb", "headers", …}, "response": {"time",
"status", …}, "user_id", "company_id", "transaction_id", "weight", …}`; `/batch` takes arrays of the same.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, cast

from common.activities import (
    ACTION,
    CALL,
    COMPANY,
    USER,
    Activity,
    Operation,
)
from common.events import Json, Unparseable
from common.json_text import decode_json, encode_json
from providers import Delivery, Reply, WebhookRequest
from providers._fields import NOTES
from sources import Item
from sources._fields import (
    LARGEST_INT,
    check_object,
    find_route,
    is_canonical,
    make_key,
    read_id,
    read_instant,
    read_name,
    read_user,
    show_properties,
)
from sources._moesif_profiles import build_reader
from sources._moesif_sent import CALLS, SOURCE, UNTIMED, build_item, find_agent_name, take_agent

COLLECTIONS: Final = {
    f"/v1/{name}{batch}": name for name in ("actions", "events", "users", "companies") for batch in ("", "/batch")
}
ANSWER: Final = Reply(201, "{}")
LONGEST_TEXT: Final = 300  # characters of a user agent or a version
DIRECTIONS: Final = ("Incoming", "Outgoing", "Internal")
# What clients ask for before they send: all calls are wanted, nothing is blocked.
CONFIG: Final = (
    '{"sample_rate":100,"block_bot_traffic":false,"user_sample_rate":{},"company_sample_rate":{},"user_rules":{},'
    '"company_rules":{},"ip_addresses_blocked_by_name":{},"regex_config":[],"billing_config_jsons":{}}'
)
REPLIES: Final = {
    "/v1/config": Reply(200, CONFIG, {"x-moesif-config-etag": "1"}),
    "/v1/rules": Reply(200, "[]", {"x-moesif-rules-tag": "1"}),
}

Read = Callable[[Json, int, Delivery], Iterator[Item]]


def accept(_request: WebhookRequest) -> Reply:
    """Any body is stored; what it says is found out later."""
    return ANSWER


def answer(path: str) -> Reply | None:
    """The settings that clients ask for."""
    return REPLIES.get(path)


def parse(body: bytes, delivery: Delivery) -> Iterator[Item]:
    """One item, or an array of them; what they are, the delivery's query says."""
    if delivery.query == CALLS:
        from sources._moesif_regular import parse_regular  # the listener never needs it

        regular = parse_regular(body)
        if regular is not None:
            for position, call in enumerate(regular):
                if type(call) is Activity:
                    yield call
                else:
                    yield from _read_odd(cast("bytes", call), position, delivery)
            return
    try:
        items = decode_json(body)
    except (ValueError, RecursionError):
        yield Unparseable(None, "the body is not JSON", None)
        return
    read = READERS.get(delivery.query)
    if read is None:
        yield Unparseable(None, "its path says nothing of what the body holds", None)
        return
    for position, item in enumerate(items if isinstance(items, list) else [items]):
        yield from _read_item(item, position, delivery, read)


def _read_odd(text: bytes, position: int, delivery: Delivery) -> Iterator[Item]:
    try:
        item = decode_json(text)
    except (ValueError, RecursionError):
        yield Unparseable(position, "it is nested too deeply, or not JSON", None)
        return
    yield from _read_item(item, position, delivery, _read_call)


def _read_item(item: Any, position: int, delivery: Delivery, read: Read) -> Iterator[Item]:
    try:
        yield from read(check_object(item), position, delivery)
    except ValueError as failure:
        yield Unparseable(position, str(failure), item)
    except (RecursionError, OverflowError):
        yield Unparseable(position, "it is nested too deeply, or its numbers are too large", None)


def _read_call(item: Json, position: int, _delivery: Delivery) -> Iterator[Item]:
    request, response = item.get("request"), item.get("response")
    if type(request) is not dict:
        raise ValueError("it has no request")
    if not (response is None or type(response) is dict):
        raise ValueError("its response is not an object")
    time = request.get("time")
    occurred_at = read_instant(time)
    key, rest = make_key(SOURCE, item.get("transaction_id"), item)
    detail, asked = item.copy(), request.copy()
    detail["request"] = asked
    if is_canonical(str(time)):
        del asked["time"]
    method = asked.get("verb")
    if type(method) is str and 0 < len(method) <= 20 and method.isascii() and method.isprintable():
        del asked["verb"]
    else:
        method = read_name(method)
    agent = None
    headers = asked.get("headers")
    if type(headers) is dict:
        name = find_agent_name(headers)
        if name is not None and _is_short(headers[name]):
            asked["headers"] = headers = headers.copy()
            agent = take_agent(headers, name)
    version = asked.get("api_version")
    if _is_short(version):
        del asked["api_version"]
    else:
        version = None
    status = duration = None
    if response is not None:
        detail["response"] = told = response.copy()
        status = told.get("status")
        if type(status) is int and 0 <= status < 10_000:
            del told["status"]
        else:
            status = None
        duration = _take_duration(told, occurred_at)
    if rest is not None:
        del detail["transaction_id"]
    return iter(
        [
            _build(
                detail,
                position,
                Operation(
                    SOURCE, CALL, None, method, find_route(request.get("uri")), status, _take_direction(detail), version
                ),
                occurred_at=occurred_at,
                key=key,
                rest=rest,
                agent=agent,
                duration=duration,
            )
        ]
    )


def _build(
    detail: Json,
    position: int,
    operation: Operation,
    *,
    occurred_at: datetime,
    key: int,
    rest: int | None,
    agent: str | None,
    duration: int | None = None,
) -> Activity:
    user, company = read_id(detail, "user_id"), read_id(detail, "company_id")
    for name, value in (("user_id", user), ("company_id", company)):
        if value is not None and type(detail[name]) is str:
            del detail[name]
    weight = detail.get("weight")
    if type(weight) is int and 1 < weight <= LARGEST_INT:
        del detail["weight"]
    else:
        weight = None
    return Activity(
        occurred_at,
        key,
        rest,
        operation,
        read_user(user, USER),
        company,
        agent,
        duration,
        weight,
        position,
        encode_json(detail),
        show_properties(detail.get("metadata")),
    )


def _take_duration(told: Json, occurred_at: datetime) -> int | None:
    """Milliseconds from the request to the response; its time goes where it follows from them."""
    time = told.get("time")
    try:
        took = read_instant(time) - occurred_at
    except ValueError:
        return None
    microseconds = (took.days * 86_400 + took.seconds) * 1_000_000 + took.microseconds
    milliseconds, left = divmod(microseconds, 1000)
    if not 0 <= milliseconds <= LARGEST_INT:
        return None
    if left == 0 and is_canonical(str(time)):
        del told["time"]
    return milliseconds


def _take_direction(detail: Json) -> str | None:
    direction = detail.get("direction")
    return str(detail.pop("direction")) if direction in DIRECTIONS else None


def _is_short(value: object) -> bool:
    return type(value) is str and 0 < len(value) <= LONGEST_TEXT and value == read_name(value)


def _read_action(item: Json, position: int, delivery: Delivery) -> Iterator[Item]:
    request = item.get("request", {})
    if type(request) is not dict:
        raise ValueError("its request is not an object")
    name = item.get("action_name")
    if type(name) is not str or not name:
        raise ValueError("it has no action_name")
    time = request.get("time")
    occurred_at = delivery.received_at if time is None else read_instant(time)
    key, rest = make_key(SOURCE, item.get("transaction_id"), item)
    detail = item.copy()
    if "request" in item:
        detail["request"] = asked = request.copy()
        if time is None:
            detail[NOTES] = UNTIMED
        elif is_canonical(time):
            del asked["time"]
        agent = asked.pop("user_agent_string") if _is_short(asked.get("user_agent_string")) else None
    else:
        agent = None
    if _is_short(name):
        del detail["action_name"]
    if rest is not None:
        del detail["transaction_id"]
    route = find_route(request.get("uri"))
    operation = Operation(SOURCE, ACTION, read_name(name), None, route)
    yield _build(detail, position, operation, occurred_at=occurred_at, key=key, rest=rest, agent=agent)


READERS: Final = {
    CALLS: _read_call,
    "actions": _read_action,
    "users": build_reader(USER, "user_id"),
    "companies": build_reader(COMPANY, "company_id"),
}


def restore(activity: Activity) -> Json:
    """The item as it was sent; the order of fields is not kept."""
    return build_item(activity)
