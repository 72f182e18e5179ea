"""Reads people and a cohort through a deployment's API, and says where it tells otherwise than the oracle."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from cohort_evaluator.conditions import MAIL, USER, Cohort, Share, find_references, walk
from cohort_evaluator.definitions import read_cohort
from common.activities import Identity
from common.event_keys import make_event_key
from common.events import Json
from oracle.facts import Event, Fact, Write
from oracle.people import Subject
from oracle.telling import Interval
from oracle.truth import is_true, list_instants

Fetch = Callable[[str, Mapping[str, str]], Json]  # path below /api/v1 and parameters → the answer
LARGEST_PAGE: Final = "100"
MAIL_FIELDS: Final = {  # as definitions name them → as the API does
    "type": "event_type",
    "provider": "provider",
    "provider_type": "provider_type",
    "campaign": "campaign_id",
    "template": "template_id",
    "subject": "subject",
    "from_address": "friendly_from",
    "tags": "rcpt_tags",
    "bounce_kind": "bounce_kind",
    "machine_open": "machine_open",
    "recipient_domain": "recipient_domain",
    "url": "target_link_url",
    "ip_address": "ip_address",
    "user_agent": "user_agent",
    "message_id": "message_id",
}
ACTIVITY_FIELDS: Final = {
    **{name: name for name in ("name", "method", "route", "status", "direction", "api_version", "source", "company")},
    "user_agent": "client",
    "duration": "milliseconds",
}


class CheckError(Exception):
    """Why a cohort can't be checked."""


class State(NamedTuple):
    """A cohort as the API tells of it."""

    cohort: Cohort
    switched_on_at: datetime
    evaluated_at: datetime


class Finding(NamedTuple):
    """Somebody of whom the deployment tells otherwise."""

    who: Identity
    at: datetime
    expected: bool  # whether a member then
    told: list[Interval]


def read_state(fetch: Fetch, name: str) -> State:
    """The definition in force, and up to when members are known. Raises `CheckError`."""
    try:
        found = fetch(f"/cohorts/{quote(name)}", {})["results"]
    except LookupError:
        raise CheckError(f"there is no cohort named {name}") from None
    if found["evaluated_at"] is None or found["switched_on_at"] is None:
        raise CheckError(f"{name} has not been evaluated yet")
    if found["subject"] != USER:
        raise CheckError(f"{name} is a cohort of companies: the API does not list what was done for one")
    if found["error"] is not None or found["deleted_at"] is not None:
        raise CheckError(f"{name} is {'deleted' if found['deleted_at'] else 'failing'}")
    return State(read_cohort(found["definition"]), _read(found["switched_on_at"]), _read(found["evaluated_at"]))


def sample_people(fetch: Fetch, name: str, most: int) -> list[Identity]:
    """Members, people who left, and people who got mails lately: about a third each."""
    path = f"/cohorts/{quote(name)}"
    lists = [
        _walk(fetch, f"{path}/members", {"per_page": LARGEST_PAGE}),
        _walk(fetch, f"{path}/transitions", {"per_page": LARGEST_PAGE, "kind": "exited"}),
        ({"identities": [{"type": "address", "value": event["rcpt_to"]}]}
         for event in fetch("/events/message", {"per_page": "1000"})["results"] if event.get("rcpt_to")),
    ]  # fmt: skip
    chosen: dict[Identity, None] = {}
    for number, entries in enumerate(lists, 1):
        for entry in entries:
            if len(chosen) >= most * number // len(lists):
                break
            if entry["identities"]:
                first = entry["identities"][0]
                chosen[Identity(first["type"], first["value"])] = None
    return [*chosen]


def check_person(fetch: Fetch, state: State, who: Identity) -> Finding | None:
    """The first instant since the last that was told at which the deployment tells otherwise, if there is one."""
    try:
        found = fetch(_show_path("/people", who), {"type": who.identity_type, "per_page": "1"})["results"]
    except LookupError:  # all mails to an address named users
        return None
    names = [Identity(one["type"], one["value"]) for one in found["identities"]]
    if len(names) > 1 and any(isinstance(each, Share) for each in walk(state.cohort.members)):
        return None  # the share is that of one of the names, and which one it is the API does not tell
    subject = Subject(names[0] if names else who, list(enumerate(read_facts(fetch, who, state.evaluated_at))))
    if subject.first_known is None:
        return None
    asked = find_references(state.cohort.members)
    told: dict[str, list[Interval]] = {name: [] for name in (*asked, state.cohort.name)}
    parameters = {"type": who.identity_type, "per_page": LARGEST_PAGE}
    for entry in _walk(fetch, _show_path("/users", who) + "/cohorts", parameters):
        if entry["cohort"] in told:
            exited_at = entry["exited_at"] and _read(entry["exited_at"])
            told[entry["cohort"]].append(Interval(_read(entry["entered_at"]), exited_at))
    own = told[state.cohort.name]
    last = max([limit for interval in own for limit in interval if limit is not None], default=state.switched_on_at)
    begin = max(last, state.switched_on_at, subject.first_known)
    instants = {begin, state.evaluated_at} | list_instants(state.cohort.members, subject, state.evaluated_at)
    instants |= {limit for name in asked for interval in told[name] for limit in interval if limit is not None}
    is_member = any(interval.exited_at is None for interval in own)
    for at in sorted(at for at in instants if begin <= at <= state.evaluated_at):
        if is_true(state.cohort.members, subject, at, lambda name, when: _covers(told[name], when)) != is_member:
            return Finding(who, at, not is_member, own)
    return None


def _covers(intervals: list[Interval], at: datetime) -> bool:
    return any(interval.covers(at) for interval in intervals)


def read_facts(fetch: Fetch, who: Identity, until: datetime) -> Iterator[Fact]:
    """What a person got and did, and what was written to the traits, up to an instant."""
    for entry in _walk(fetch, _show_path("/people", who), {"type": who.identity_type, "per_page": LARGEST_PAGE}):
        at = _read(entry["timestamp"])
        if at <= until:
            mail, activity = entry["event"], entry["activity"]
            yield _read_mail(at, mail) if entry["kind"] == MAIL else _read_activity(at, activity)
    try:
        writes = [*_walk(fetch, _show_path("/users", who) + "/traits", {"type": who.identity_type})]
    except LookupError:  # known by mails alone
        return
    for write in writes:
        if _read(write["at"]) <= until:
            yield Write(Identity(**_name(write["identity"])), _read(write["at"]), tuple(write["path"]), write["value"])


def _name(identity: Json) -> Json:
    return {"identity_type": identity["type"], "value": identity["value"]}


def _read_mail(at: datetime, event: Json) -> Event:
    fields: Json = {ours: event.get(theirs) for ours, theirs in MAIL_FIELDS.items()}
    fields["tags"] = fields["tags"] or None
    fields["reason"] = event.get("raw_reason") or event.get("reason")
    fields["subaccount"] = None if event.get("subaccount_id") is None else str(event["subaccount_id"])
    fields["out_of_band"] = event["type"] == "out_of_band"
    fields["first_open"] = event["type"] in ("initial_open", "amp_initial_open")
    key = make_event_key(event["provider"], event["event_id"])
    return Event(MAIL, at, key, None, fields=fields, properties=event.get("rcpt_meta") or {})


def _read_activity(at: datetime, activity: Json) -> Event:
    fields = {ours: activity[theirs] for ours, theirs in ACTIVITY_FIELDS.items()}
    properties = activity["metadata"] or {}
    return Event(activity["activity_type"], at, 0, None, None, activity["weight"], fields, properties)


def _show_path(path: str, who: Identity) -> str:
    return f"{path}/{quote(who.value, safe='@')}"


def _walk(fetch: Fetch, path: str, parameters: Mapping[str, str]) -> Iterator[Any]:
    """The entries of all pages."""
    while True:
        answer = fetch(path, parameters)
        results = answer["results"]
        yield from results["entries"] if isinstance(results, dict) else results
        if "next" not in answer["links"]:
            return
        parameters = dict(parse_qsl(urlsplit(answer["links"]["next"]).query))


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
