"""Things that happen to the people of a schedule: as clients and providers send them, and as the oracle is told."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from common.activities import ADDRESS, ANONYMOUS, COMPANY, FIRST, LAST, MERGE, USER, Identity
from common.event_keys import hash_key, make_event_key
from common.events import Json
from oracle.facts import Event, Fact, Link, list_writes

MAIL_TYPES = {  # SparkPost's type → its class, ours
    "delivery": ("message_event", "delivered"),
    "open": ("track_event", "opened"),
    "initial_open": ("track_event", "opened"),
    "click": ("track_event", "clicked"),
    "bounce": ("message_event", "bounced"),
    "out_of_band": ("message_event", "bounced"),
    "spam_complaint": ("message_event", "complained"),
}
BOUNCE_CLASSES = {"10": "hard", "20": "soft", "51": "block"}
NUMBERS = (1, 2, 2.5, 0.1, 0.2, 3, -1, 10, 1e15, 12_345_678_901_234_567_890)
PROPERTIES: tuple[Any, ...] = (
    *NUMBERS,
    *NUMBERS,
    "1",
    "a",
    "Abc",
    "",
    "äb%",
    "[]",
    True,
    False,
    None,
    ["a", 1],
    {"y": 1},
    {},
)
TEXTS = ("a", "Abc", "b", "ÄB%_'\\", "\u0130")


class Happening(NamedTuple):
    """Something that is sent, in the shape of who sends it."""

    source: str  # sparkpost, moesif or segment
    collection: str  # of a source; empty for a provider
    item: Json
    facts: tuple[Fact, ...]  # what it says

    @property
    def key(self) -> tuple[str, str]:
        """What can be sent in one body."""
        return self.source, self.collection


class People(NamedTuple):
    """The names of one schedule, like nobody else's."""

    users: list[str]
    anonymous: list[str]
    addresses: list[str]
    companies: list[str]


def name_people(schedule: int, *, alone: bool = False) -> People:
    """A few, so that they meet, or one alone."""
    mark = f"s{schedule}"
    if alone:
        return People([f"{mark}-u0"], [f"{mark}-a0"], [f"{mark}-x@example.com"], [f"{mark}-k0"])
    return People(
        [f"{mark}-u{number}" for number in range(3)],
        [f"{mark}-a{number}" for number in range(2)] + [f"{mark}-u0"],  # one that looks like a user
        [f"{mark}-{name}@example.com" for name in ("x", "y")],
        [f"{mark}-k{number}" for number in range(2)],
    )


def show_time(at: datetime) -> str:
    """As clients write it, to the microsecond where that is needed."""
    return at.isoformat(timespec="microseconds" if at.microsecond % 1000 else "milliseconds").replace("+00:00", "Z")


class Maker:
    """Makes happenings of one schedule. `number` makes ids of their own."""

    def __init__(self, random: Random, people: People, schedule: int) -> None:
        self.random = random
        self.people = people
        self.number = schedule * 1000

    def make(self, at: datetime) -> Happening:
        """Anything, at a time."""
        makes = (self.make_mail, self.make_call, self.make_call, self.make_track, self.make_track, self.make_action)
        return self.random.choice((*makes, self.make_traits, self.make_traits, self.make_link))(at)

    def _find_id(self) -> int:
        self.number += 1
        return self.number

    def _choose(self, *values: Any) -> Any:
        return self.random.choice(values)

    def _choose_properties(self) -> Json:
        properties = {"n": self.random.choice(PROPERTIES), "m": {"x": self.random.choice(PROPERTIES)}}
        return {name: properties[name] for name in properties if self.random.random() < 0.7}

    def _link(self, user: str | None, anonymous: str | None, at: datetime) -> Iterator[Link]:
        if user and anonymous:
            yield Link(Identity(ANONYMOUS, anonymous), Identity(USER, user), FIRST, at)

    def make_mail(self, at: datetime) -> Happening:
        """What became of a mail."""
        event_id, kind = str(self._find_id()), self.random.choice(list(MAIL_TYPES))
        at = at.replace(microsecond=0)
        event_class, event_type = MAIL_TYPES[kind]
        address, user = self.random.choice(self.people.addresses), self._choose(None, *self.people.users)
        metadata = self._choose_properties() | ({"user_id": user} if user else {})
        item: Json = {"type": kind, "event_id": event_id, "timestamp": str(int(at.timestamp())), "rcpt_to": address}
        fields: Json = {"type": event_type, "provider": "sparkpost", "provider_type": kind}
        fields |= {"out_of_band": kind == "out_of_band", "first_open": kind == "initial_open", "machine_open": False}
        fields["recipient_domain"] = "example.com"
        if metadata:
            item["rcpt_meta"] = metadata
        names = {"campaign": "campaign_id", "template": "template_id", "subject": "subject", "url": "target_link_url"}
        names |= {"from_address": "friendly_from", "subaccount": "subaccount_id", "message_id": "message_id"}
        names |= {"ip_address": "ip_address", "reason": "raw_reason", "user_agent": "user_agent"}
        for ours, theirs in names.items():
            if self.random.random() < 0.6:
                item[theirs] = fields[ours] = self.random.choice(TEXTS)
        if self.random.random() < 0.5:
            item["rcpt_tags"] = fields["tags"] = self._choose(["a"], ["a", "b"], ["Abc"])
        if event_type == "bounced":
            item["bounce_class"] = self.random.choice(list(BOUNCE_CLASSES))
            fields["bounce_kind"] = BOUNCE_CLASSES[item["bounce_class"]]
        if event_type == "opened" and "user_agent" in item and self.random.random() < 0.5:
            item["user_agent_parsed"] = {"is_prefetched": True}
            fields["machine_open"] = True
        who = Identity(USER, user) if user else Identity(ADDRESS, address)
        event = Event("mail", at, make_event_key("sparkpost", event_id), who, fields=fields, properties=metadata)
        return Happening("sparkpost", "", {"msys": {event_class: item}}, (event,))

    def make_call(self, at: datetime) -> Happening:
        """An API call, as Moesif's clients tell of it."""
        call_id = f"call-{self._find_id()}"
        user, company = self._choose(None, *self.people.users), self._choose(None, *self.people.companies)
        method, path, status = self._choose("GET", "POST"), self._choose("/a", "/b/Abc"), self._choose(200, 400, 404)
        fields: Json = {"method": method, "route": path, "source": "moesif", "company": company}
        item: Json = {"request": {"time": show_time(at), "uri": f"https://api.example.com{path}", "verb": method}}
        item["transaction_id"] = call_id
        if self.random.random() < 0.8:
            duration = self._choose(0, 100, 250)
            item["response"] = {"time": show_time(at + timedelta(milliseconds=duration)), "status": status}
            fields |= {"status": status, "duration": duration}
        if self.random.random() < 0.5:
            item["request"]["headers"] = {"User-Agent": self.random.choice(TEXTS)}
            fields["user_agent"] = item["request"]["headers"]["User-Agent"]
        if self.random.random() < 0.5:
            item["request"]["api_version"] = fields["api_version"] = self.random.choice(TEXTS)
        if self.random.random() < 0.5:
            item["direction"] = fields["direction"] = self._choose("Incoming", "Outgoing")
        weight = self._choose(1, 1, 2, 3)
        if weight > 1:
            item["weight"] = weight
        return self._finish("call", at, "events", item, call_id, user, company, fields, weight)

    def make_action(self, at: datetime) -> Happening:
        """An action, as Moesif's clients tell of it."""
        call_id, name = f"action-{self._find_id()}", self._choose("sign up", "buy")
        user, company = self._choose(None, *self.people.users), self._choose(None, *self.people.companies)
        item: Json = {"action_name": name, "transaction_id": call_id, "request": {"time": show_time(at), "uri": "/a"}}
        fields: Json = {"name": name, "route": "/a", "source": "moesif", "company": company}
        return self._finish("action", at, "actions", item, call_id, user, company, fields, 1)

    def _finish(
        self,
        kind: str,
        at: datetime,
        collection: str,
        item: Json,
        call_id: str,
        user: str | None,
        company: str | None,
        fields: Json,
        weight: int,
    ) -> Happening:
        properties = self._choose_properties()
        if properties:
            item["metadata"] = properties
        if user:
            item["user_id"] = user
        if company:
            item["company_id"] = company
        who = Identity(USER, user) if user else None
        key = hash_key(f"moesif\0{call_id}".encode())
        return Happening("moesif", collection, item, (Event(kind, at, key, who, company, weight, fields, properties),))

    def make_track(self, at: datetime) -> Happening:
        """A track, a page or a screen, as Segment's clients tell of it."""
        message_id, kind = f"message-{self._find_id()}", self._choose("track", "track", "page", "screen")
        user, anonymous = self._choose(None, *self.people.users), self._choose(None, *self.people.anonymous)
        if user is None and anonymous is None:
            user = self.people.users[0]
        name, company = self._choose("sign up", "buy"), self._choose(None, *self.people.companies)
        item: Json = {"type": kind, "messageId": message_id, "timestamp": show_time(at), "context": {}}
        item["event" if kind == "track" else "name"] = name
        fields: Json = {"name": name, "source": "segment", "company": company}
        properties = self._choose_properties()
        if self.random.random() < 0.3:
            properties["path"] = fields["route"] = "/a"
        if self.random.random() < 0.3:
            item["context"]["userAgent"] = fields["user_agent"] = self.random.choice(TEXTS)
        if company:
            item["context"]["groupId"] = company
        if properties:
            item["properties"] = properties
        item |= {"userId": user} if user else {}
        item |= {"anonymousId": anonymous} if anonymous else {}
        who = Identity(USER, user) if user else Identity(ANONYMOUS, anonymous)
        key = hash_key(f"segment\0{message_id}".encode())
        event = Event(
            "action" if kind == "track" else kind, at, key, who, company, fields=fields, properties=properties
        )
        return Happening("segment", "batch", item, (event, *self._link(user, anonymous, at)))

    def make_traits(self, at: datetime) -> Happening:
        """Traits of a user, an anonymous one or a company, which may claim an address."""
        makes = (self._make_user, self._make_user, self._make_identify, self._make_identify, self._make_company)
        return self.random.choice((*makes, self._make_group))(at)

    def _choose_traits(self, at: datetime) -> Json:
        near = at + timedelta(hours=self._choose(-30, -6, 0, 6, 24))
        times = (near.date().isoformat(), show_time(near), near.strftime("%Y-%m-%dT%H:%MZ"), "2018-02-30", "soon")
        plan = self._choose("free", "pro", "Pro", 1, 1.0, True, None, ["a", "b"], ["pro", 1], {}, 3)
        traits = {"plan": plan, "since": self._choose(*times), "a": self._choose({"x": 1}, {"x": 2, "z": "a"}, 7)}
        return {name: traits[name] for name in traits if self.random.random() < 0.6}

    def _claim(self, traits: Json, user: str, at: datetime) -> Iterator[Link]:
        if "email" in traits:
            yield Link(Identity(ADDRESS, traits["email"].lower()), Identity(USER, user), LAST, at)

    def _make_user(self, at: datetime) -> Happening:
        user, traits = self.random.choice(self.people.users), self._choose_traits(at)
        if self.random.random() < 0.4:
            traits["email"] = self.random.choice(self.people.addresses)
        item: Json = {"user_id": user, "modified_time": show_time(at)}
        given: Json = {"metadata": traits} if traits else {}
        if self.random.random() < 0.3:
            given["company_id"] = self.random.choice(self.people.companies)
        facts = (*list_writes(Identity(USER, user), at, given), *self._claim(traits, user, at))
        return Happening("moesif", "users", item | given, facts)

    def _make_company(self, at: datetime) -> Happening:
        company, traits = self.random.choice(self.people.companies), self._choose_traits(at)
        item: Json = {"company_id": company, "modified_time": show_time(at), "metadata": traits}
        facts = list_writes(Identity(COMPANY, company), at, {"metadata": traits})
        return Happening("moesif", "companies", item, tuple(facts))

    def _make_identify(self, at: datetime) -> Happening:
        user, anonymous = self._choose(None, *self.people.users), self._choose(None, *self.people.anonymous)
        if user is None and anonymous is None:
            user = self.people.users[-1]
        traits = self._choose_traits(at)
        if self.random.random() < 0.4:
            traits["email"] = self.random.choice(self.people.addresses)
        item: Json = {"type": "identify", "timestamp": show_time(at), "traits": traits}
        item |= {"userId": user} if user else {}
        item |= {"anonymousId": anonymous} if anonymous else {}
        who = Identity(USER, user) if user else Identity(ANONYMOUS, anonymous)
        claims = self._claim(traits, user, at) if user else ()
        facts = (*list_writes(who, at, {"metadata": traits}), *claims, *self._link(user, anonymous, at))
        return Happening("segment", "batch", item, facts)

    def _make_group(self, at: datetime) -> Happening:
        user, company = self.random.choice(self.people.users), self.random.choice(self.people.companies)
        traits = self._choose_traits(at)
        item: Json = {"type": "group", "timestamp": show_time(at), "userId": user, "groupId": company}
        item["traits"] = traits
        facts = list_writes(Identity(COMPANY, company), at, {"metadata": traits})
        facts += list_writes(Identity(USER, user), at, {"company_id": company})
        return Happening("segment", "batch", item, tuple(facts))

    def make_link(self, at: datetime) -> Happening:
        """That two users are one person, or whose an anonymous id is."""
        user = self.random.choice(self.people.users)
        previous = self._choose(*self.people.users, *self.people.anonymous)
        item: Json = {"type": "alias", "timestamp": show_time(at), "userId": user, "previousId": previous}
        facts = (
            Link(Identity(USER, previous), Identity(USER, user), MERGE, at),
            Link(Identity(ANONYMOUS, previous), Identity(USER, user), FIRST, at),
        )
        return Happening("segment", "batch", item, facts)
