"""Tracks, pages, screens, identities, groups and aliases in Segment's shape.

Source: "HTTP Tracking API" in Segment's documentation: `/v1/track` and so on take one message, `/v1/batch` takes
`{"batch": [message, …], "sentAt", "context"}`, each with its `type`. The write key is the user of basic authentication.

Times are taken as they were sent: what Segment makes of a wrong clock depends on the delivery, and would tell a retry
from the first try.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from common.activities import (
    ACTION,
    ANONYMOUS,
    COMPANY,
    FIRST,
    MERGE,
    PAGE,
    SCREEN,
    USER,
    Activity,
    Identity,
    Link,
    Operation,
    Profile,
)
from common.events import Json, Unparseable
from common.json_text import decode_json, encode_json
from providers import Delivery, Reply, WebhookRequest
from sources import Item
from sources._fields import (
    check_depth,
    check_object,
    find_route,
    is_canonical,
    make_key,
    read_id,
    read_instant,
    read_name,
    show_instant,
    show_properties,
    show_uuid,
)
from sources._moesif_profiles import link_address

SOURCE: Final = "segment"
TYPES: Final = {"track": ACTION, "page": PAGE, "screen": SCREEN}
COLLECTIONS: Final = {f"/v1/{name}": name for name in (*TYPES, "identify", "group", "alias", "batch")}
ANSWER: Final = Reply(200, '{"success":true}')


def accept(_request: WebhookRequest) -> Reply:
    """Any body is stored; what it says is found out later."""
    return ANSWER


def answer(_path: str) -> Reply | None:
    """There is nothing to get."""
    return None


def parse(body: bytes, delivery: Delivery) -> Iterator[Item]:
    """One message, or a batch of them."""
    try:
        document = decode_json(body)
    except (ValueError, RecursionError):
        yield Unparseable(None, "the body is not JSON", None)
        return
    if type(document) is not dict:
        yield Unparseable(None, "the body is not a JSON object", None)
        return
    common: object = None
    if delivery.query == "batch":
        messages, common = document.get("batch"), document.get("context")
        if not isinstance(messages, list):
            yield Unparseable(None, "the body has no list named batch", None)
            return
    else:
        messages = [{name: value for name, value in document.items() if name != "writeKey"}]
    for position, message in enumerate(messages):
        try:
            yield from _read(check_object(message), position, delivery, common)
        except ValueError as failure:
            yield Unparseable(position, str(failure), message)
        except (RecursionError, OverflowError):
            yield Unparseable(position, "it is nested too deeply, or its numbers are too large", None)


def _read(message: Json, position: int, delivery: Delivery, common: object) -> Iterator[Item]:
    kind = message.get("type", delivery.query)
    times = [message[name] for name in ("timestamp", "originalTimestamp", "sentAt") if message.get(name) is not None]
    at = read_instant(times[0]) if times else delivery.received_at
    user, anonymous = read_id(message, "userId"), read_id(message, "anonymousId")
    if user is None and anonymous is None:
        raise ValueError("it has neither userId nor anonymousId")
    check_depth(message.get("traits"))
    identity = Identity(ANONYMOUS, anonymous or "") if user is None else Identity(USER, user)
    if kind in TYPES:
        yield _read_activity(message, position, common, kind, at, identity)
    elif kind == "identify":
        traits = message.get("traits")
        if not isinstance(traits, dict | None):
            raise ValueError("its traits are not an object")
        yield Profile(identity, at, {"metadata": traits or {}}, position)
        if user is not None:
            yield from link_address(traits, identity, at, position)
    elif kind == "group":
        company = read_id(message, "groupId")
        if company is None:
            raise ValueError("it has no groupId")
        traits = message.get("traits")
        if not isinstance(traits, dict | None):
            raise ValueError("its traits are not an object")
        yield Profile(Identity(COMPANY, company), at, {"metadata": traits or {}}, position)
        yield Profile(identity, at, {"company_id": company}, position)
    elif kind == "alias":
        previous = read_id(message, "previousId")
        if previous is None or user is None:
            raise ValueError("it lacks its userId or its previousId")
        # The id of before may be of either kind; nobody has the other one.
        yield Link(Identity(USER, previous), identity, MERGE, at, position)
        yield Link(Identity(ANONYMOUS, previous), identity, FIRST, at, position)
    else:
        raise ValueError("its type is not one of track, page, screen, identify, group, alias")
    if user is not None and anonymous is not None:
        yield Link(Identity(ANONYMOUS, anonymous), identity, FIRST, at, position)


def _read_activity(
    message: Json, position: int, common: object, kind: str, at: datetime, identity: Identity
) -> Activity:
    name = message.get("event" if kind == "track" else "name")
    if kind == "track" and not (type(name) is str and name):
        raise ValueError("it has no event")
    key, rest = make_key(SOURCE, message.get("messageId"), message)
    detail = message.copy()
    if rest is not None:
        del detail["messageId"]
    if is_canonical(str(message.get("timestamp"))):
        del detail["timestamp"]
    context = message.get("context", common)
    context = context if isinstance(context, dict) else {}
    if "context" not in message and context:
        detail["context"] = context
    company = read_id(context, "groupId")
    properties = message.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    route = find_route(properties.get("path", properties.get("url")))
    operation = Operation(SOURCE, TYPES[kind], read_name(name), None, route)
    return Activity(
        at,
        key,
        rest,
        operation,
        identity,
        company,
        _find_agent(context),
        None,
        None,
        position,
        encode_json(detail),
        show_properties(properties),
    )


def _find_agent(context: Json) -> str | None:
    agent, library = context.get("userAgent"), context.get("library")
    if isinstance(agent, str) and agent:
        return read_name(agent)
    if isinstance(library, dict) and isinstance(library.get("name"), str):
        return read_name(f"{library['name']}/{library.get('version', '')}")
    return None


def restore(activity: Activity) -> Json:
    """The message as it was sent, with the batch's context where it had none; the order of fields is not kept."""
    item: Json = decode_json(activity.detail)
    if activity.id_rest is not None:
        item["messageId"] = show_uuid(SOURCE, activity.key, activity.id_rest)
    if not {"timestamp", "originalTimestamp", "sentAt"} & item.keys():
        item["timestamp"] = show_instant(activity.occurred_at)
    return item
