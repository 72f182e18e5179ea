"""Segments of Dittofeed.

Source: `SegmentDefinition` in packages/isomorphic-lib/src/types.ts of Dittofeed's repository: an entry node, and nodes
that `And` and `Or` name by their ids. How it evaluates them: computePropertiesIncremental.ts.
"""

import re
from collections.abc import Callable
from typing import Final

from cohort_evaluator.imports.dittofeed_properties import read_includes, read_seconds, read_tests, read_trait
from cohort_evaluator.imports.imported import (
    Import,
    Imported,
    ImportRefusedError,
    find_name,
    read_choice,
    read_instant,
    read_list,
    read_number,
    read_object,
    read_text,
    read_whole,
    show_duration,
)
from common.events import Json

EVER: Final = {"ever": True}
# Its words for what happens to mails. A dropped one its provider refused to send.
MAILS: Final = {
    "DFInternalMessageSent": "injected",
    "DFEmailDelivered": "delivered",
    "DFEmailDropped": "rejected",
    "DFEmailBounced": "bounced",
    "DFEmailOpened": "opened",
    "DFEmailClicked": "clicked",
    "DFEmailMarkedSpam": "complained",
}
# What has no form here, and why.
REFUSED: Final = {
    "SubscriptionGroup": "asks for a subscription group, and there are none here",
    "SubscriptionGroupUnsubscribed": "asks for a subscription group, and there are none here",
    "Broadcast": "asks for who got a broadcast, which only Dittofeed knows",
    "Manual": "is a list of people, not a condition",
    "KeyedPerformed": "counts the events of one run of a journey, and there are none here",
}


def read_dittofeed(segment: object, *, name: str | None = None) -> Imported:
    """A segment (as the API gives it, or only its definition) as a cohort. Raises `ImportRefusedError`."""
    given = read_object(segment, "segment")
    name, title = find_name(name, given.get("name"))
    place = ""
    if "definition" in given:
        given, place = read_object(given["definition"], "definition"), "definition."
    return _Segment(given, place).read(name, title)


class _Segment:
    def __init__(self, given: Json, place: str) -> None:
        self.at = Import("Dittofeed")
        self.entry = read_object(given.get("entryNode"), f"{place}entryNode")
        self.entry_place = f"{place}entryNode"
        self.nodes: dict[str, tuple[Json, str]] = {}
        nodes = given.get("nodes", [])
        if not isinstance(nodes, list):
            raise ImportRefusedError(f"{place}nodes", "is a list")
        for index, each in enumerate(nodes):
            here = f"{place}nodes[{index}]"
            node = read_object(each, here)
            key = read_text(node, "id", here)
            if key in self.nodes:
                raise ImportRefusedError(f"{here}.id", f"is that of {self.nodes[key][1]}, too")
            self.nodes[key] = (node, here)
        self.used: set[str] = set()

    def read(self, name: str, title: str) -> Imported:
        members = self.read_node(self.entry, self.entry_place, ())
        for key, (_, place) in self.nodes.items():
            if key not in self.used:
                self.at.tell(f"{place} hangs on no other node, and is left out")
        return self.at.finish(name, title, members)

    def read_node(self, node: Json, place: str, above: tuple[str, ...]) -> Json:
        kind = node.get("type")
        if kind in ("And", "Or"):
            return self.read_group(node, place, above)
        if type(kind) is str and kind in REFUSED:
            raise ImportRefusedError(place, f"{kind} {REFUSED[kind]}")
        if type(kind) is not str or kind not in _NODES:
            raise ImportRefusedError(f"{place}.type", f"is one of And, Or, {', '.join(_NODES)}")
        return self.at.keep(_NODES[kind](self.at, node, place), place)

    def read_group(self, node: Json, place: str, above: tuple[str, ...]) -> Json:
        read_object(node, place, ("type", "id", "children"))
        conditions = []
        for index, child in enumerate(read_list(node, "children", place)):
            here = f"{place}.children[{index}]"
            if type(child) is not str or child not in self.nodes:
                raise ImportRefusedError(here, "is the id of no node")
            if child in above:
                raise ImportRefusedError(here, "is a node that this one hangs on")
            self.used.add(child)
            inner, inner_place = self.nodes[child]
            if len(above) >= 20:
                raise ImportRefusedError(inner_place, "hangs on more than 20 others")
            conditions.append(self.read_node(inner, inner_place, (*above, child)))
        return {"all" if node["type"] == "And" else "any": conditions}


def _read_performed(at: Import, node: Json, place: str) -> Json:
    times = ("times", "timesOperator", "withinSeconds", "timeOperator", "absoluteTimestamp")
    read_object(node, place, ("type", "id", "event", *times, "properties"))
    wheres, negations = read_tests(at, node, "properties", place)
    if negations:
        raise ImportRefusedError(negations[0][1], "NotEquals of an event's property has no form here")
    pattern = _read_event(at, node, wheres, place)
    window = _read_window(at, node, place)
    return {"did": pattern, "count": _read_count(node, place), "window": window}


def _read_count(node: Json, place: str) -> Json:
    operator = read_choice({"timesOperator": ">=", **_drop_nulls(node)}, "timesOperator", place, ("=", ">=", "<"))
    times = read_whole({"times": 1, **_drop_nulls(node)}, "times", place, 0)
    if times == 0 and operator != "=":
        everybody = "everybody" if operator == ">=" else "nobody"
        raise ImportRefusedError(
            f"{place}.times", f"{operator} 0 is skipped by Dittofeed; here it is true of {everybody}"
        )
    return {operator: times}


def _drop_nulls(node: Json) -> Json:
    return {key: value for key, value in node.items() if value is not None}


def _read_window(at: Import, node: Json, place: str) -> Json:
    bounds = ("Within", "AfterAbsolute", "BeforeAbsolute")
    bound = read_choice({"timeOperator": "Within", **_drop_nulls(node)}, "timeOperator", place, bounds)
    seconds = node.get("withinSeconds")
    if bound == "Within":
        if seconds is None:
            return EVER
        length = read_whole(node, "withinSeconds", place)
        cut = show_duration(min(max(length // 10, 1), 86_400))
        at.tell(
            f"Dittofeed cuts the times of events to {cut} in a window of {show_duration(length)}: "
            "its members may leave that much too early"
        )
        return {"last": read_seconds(node, "withinSeconds", place)}
    here = f"{place}.timeOperator"
    if seconds is not None:
        raise ImportRefusedError(
            here, "has withinSeconds beside it: Dittofeed counts by that alone; leave one of them out"
        )
    instant = read_instant(node.get("absoluteTimestamp"), f"{place}.absoluteTimestamp")
    at.tell(f"Dittofeed ignores {bound} and counts the events of all time; here it is kept as it is written")
    if bound == "BeforeAbsolute":
        return {"until": instant}
    at.tell("AfterAbsolute means at that very instant, too")
    return {"since": instant}


def _read_last(at: Import, node: Json, place: str) -> Json:
    read_object(node, place, ("type", "id", "event", "whereProperties", "hasProperties"))
    wheres, negations = read_tests(at, node, "whereProperties", place)
    if negations:
        raise ImportRefusedError(negations[0][1], "NotEquals of an event's property has no form here")
    pattern = _read_event(at, node, wheres, place)
    has, lacks = read_tests(at, node, "hasProperties", place)
    newest: Json = {"last": pattern, "has": has, "window": EVER}
    if not lacks:
        return newest
    return {"all": [newest, *({"not": {**newest, "has": test}} for test, _ in lacks)]}


def _read_email(at: Import, node: Json, place: str) -> Json:
    read_object(node, place, ("type", "id", "event", "templateId", "times", "timesOperator"))
    event = read_choice(node, "event", place, MAILS)
    template = {"template": read_text(node, "templateId", place)}
    pattern = _find_mail(at, event, template)
    return {"did": pattern, "count": _read_count(node, place), "window": EVER}


def _read_bucket(at: Import, node: Json, place: str) -> Json:
    read_object(node, place, ("type", "id", "percent"))
    at.tell("a random share is as large here, and of other people")
    return {"share": read_number(node.get("percent"), f"{place}.percent")}


def _read_everyone(at: Import, node: Json, place: str) -> Json:
    read_object(node, place, ("type", "id"))
    at.tell("everyone is here also whoever is known by an address alone")
    return {"share": 1}


_NODES: Final[dict[str, Callable[[Import, Json, str], Json]]] = {
    "Trait": read_trait,
    "Includes": read_includes,
    "Performed": _read_performed,
    "LastPerformed": _read_last,
    "Email": _read_email,
    "RandomBucket": _read_bucket,
    "Everyone": _read_everyone,
}


def _read_event(at: Import, node: Json, wheres: Json, place: str) -> Json:
    """Which events: actions by their name, or what happens to mails."""
    event = read_text(node, "event", place)
    if event in MAILS:
        template = wheres.pop("properties.templateId", None)
        if wheres:
            raise ImportRefusedError(f"{place}.event", f"of {event} only templateId can be asked for here")
        return _find_mail(at, event, {} if template is None else {"template": template})
    if re.match("DF[A-Z]", event):
        raise ImportRefusedError(f"{place}.event", f"{event} is an event of Dittofeed's own, which is not here")
    if "*" in event[:-1]:
        raise ImportRefusedError(f"{place}.event", "has * before its end")
    if event.endswith("*"):
        at.tell(
            "an event by its beginning, or any, is an action here; Dittofeed counts its own events about mails, too"
        )
        name: Json = {"name": {"starts_with": event[:-1]}} if event != "*" else {}
        return {"event": "action", "where": {**name, **wheres}}
    return {"event": "action", "where": {"name": event, **wheres}}


def _find_mail(at: Import, event: str, where: Json) -> Json:
    if where:
        at.tell("a template goes by the id that the mail's provider tells, not by Dittofeed's")
    if event == "DFInternalMessageSent":
        at.tell("sent means that the provider accepted the mail")
    if event in ("DFEmailOpened", "DFEmailClicked"):
        at.tell("every open and click of a mail counts here, also those of machines; Dittofeed may count one a mail")
    return {"event": "mail", "where": {"type": MAILS[event], **where}}
