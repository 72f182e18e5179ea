"""Who is who, by the words of docs/behaviour.md, and what is known of each person and company."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from common.activities import COMPANY, FIRST, LAST, MERGE, USER, Identity
from common.json_text import encode_json
from oracle.facts import Event, Fact, Link, Write

COMPANY_PATH = ("company_id",)


class Subject:
    """A person, or a company, and all facts that are known of it."""

    def __init__(self, own: Identity, facts: Sequence[tuple[int, Fact]], signs: Sequence[datetime] = ()) -> None:
        """Each fact comes behind its place in the order of arrival; `signs`: when else it was heard of."""
        self.own = own
        self.arrivals = tuple(place for place, _ in facts)
        self.events = sorted(
            (fact for _, fact in facts if isinstance(fact, Event)), key=lambda event: (event.at, event.key)
        )
        self.writes = [fact for _, fact in facts if isinstance(fact, Write)]
        self.first_known = min((*(fact.at for _, fact in facts), *signs), default=None)
        self._remembered: dict[int, tuple[object, Any]] = {}

    def remember(self, about: object, find: Callable[[], Any]) -> Any:
        """What was found about a part of a definition, which is the same at all instants."""
        known = self._remembered.get(id(about))
        if known is None:
            known = self._remembered[id(about)] = about, find()
        return known[1]


class History:
    """All facts, without those that came again."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self._known: set[object] = set()

    def tell(self, fact: Fact) -> None:
        """Adds a fact. Of events with one time and one key the first stands."""
        if isinstance(fact, Event):
            same: object = (fact.kind == "mail", fact.at, fact.key)
        elif isinstance(fact, Write):
            same = (fact[:3], repr(fact.value))
        else:
            same = fact
        if same not in self._known:
            self._known.add(same)
            self.facts.append(fact)

    def find_people(self, numbers: Mapping[Identity, int]) -> dict[int, Subject]:
        """Who is there, by the number of each: the least of a person's users, else the identity's own."""
        person = self._find_persons(numbers)
        facts: dict[int, list[tuple[int, Fact]]] = defaultdict(list)
        for place, fact in enumerate(self.facts):
            for identity in _list_people(fact):
                number = person.get(identity, numbers.get(identity))
                if number is not None and (not facts[number] or facts[number][-1][0] != place):
                    facts[number].append((place, fact))
        own = {identity for identity, number in numbers.items() if person.get(identity, number) == number}
        return _make_subjects(facts, {each: numbers[each] for each in own if each.identity_type != COMPANY})

    def find_companies(self, numbers: Mapping[Identity, int]) -> dict[int, Subject]:
        """The companies, each by its own number: their traits, what names them, and what else their users did and got.

        A user's trait that names a company is a first sign of it.
        """
        person = self._find_persons(numbers)
        company_of = self._find_company_of(numbers, person)
        facts: dict[int, list[tuple[int, Fact]]] = defaultdict(list)
        signs: dict[int, list[datetime]] = defaultdict(list)
        for place, fact in enumerate(self.facts):
            company = None
            if isinstance(fact, Event):
                if fact.company is not None:
                    company = Identity(COMPANY, fact.company)
                elif fact.who is not None:
                    company = company_of.get(person.get(fact.who, numbers.get(fact.who, -1)))
            elif isinstance(fact, Write) and fact.identity.identity_type == COMPANY:
                company = fact.identity
            elif (named := _find_named(fact)) is not None and named in numbers:
                signs[numbers[named]].append(fact.at)
            if company is not None and company in numbers:
                facts[numbers[company]].append((place, fact))
        companies = {each: numbers[each] for each in numbers if each.identity_type == COMPANY}
        return {
            number: Subject(company, facts.get(number, []), signs.get(number, []))
            for company, number in companies.items()
        }

    def _find_company_of(self, numbers: Mapping[Identity, int], person: Mapping[Identity, int]) -> dict[int, Identity]:
        """Of each person the company that the newest trait says; nothing where it says none."""
        newest: dict[int, tuple[tuple[datetime, bytes], Write]] = {}
        for fact in self.facts:
            if isinstance(fact, Write) and fact.path == COMPANY_PATH and fact.identity.identity_type != COMPANY:
                number = person.get(fact.identity, numbers.get(fact.identity))
                order = fact.at, encode_json(fact.value)
                if number is not None and (number not in newest or newest[number][0] < order):
                    newest[number] = order, fact
        named = {number: _find_named(write) for number, (_, write) in newest.items()}
        return {number: company for number, company in named.items() if company is not None}

    def _find_persons(self, numbers: Mapping[Identity, int]) -> dict[Identity, int]:
        """Of whom links tell: the number of the person."""
        links = [fact for fact in self.facts if isinstance(fact, Link) and fact.origin != fact.user]
        merged = {user: {user} for link in links for user in (link.origin, link.user) if user.identity_type == USER}
        for link in links:
            if link.rule == MERGE and merged[link.origin] is not merged[link.user]:
                everybody = merged[link.origin] | merged[link.user]
                for user in everybody:
                    merged[user] = everybody
        person = {user: min(numbers[one] for one in together) for user, together in merged.items()}
        for rule, sign in ((FIRST, 1), (LAST, -1)):
            owners: dict[Identity, tuple[float, str]] = {}
            for link in links:
                if link.rule == rule:
                    choice = sign * link.at.timestamp(), link.user.value
                    owners[link.origin] = min(owners.get(link.origin, choice), choice)
            for origin, (_, value) in owners.items():
                person[origin] = person[Identity(USER, value)]
        return person


def _list_people(fact: Fact) -> Iterable[Identity]:
    """Whom a fact says something of, companies aside."""
    if isinstance(fact, Event):
        return () if fact.who is None else (fact.who,)
    if isinstance(fact, Write):
        return () if fact.identity.identity_type == COMPANY else (fact.identity,)
    return () if fact.origin == fact.user else (fact.origin, fact.user)


def _find_named(fact: Fact) -> Identity | None:
    """The company that a write says a user to be of."""
    if isinstance(fact, Write) and fact.path == COMPANY_PATH and isinstance(fact.value, str) and fact.value:
        return Identity(COMPANY, fact.value)
    return None


def _make_subjects(facts: Mapping[int, list[tuple[int, Fact]]], numbers: Mapping[Identity, int]) -> dict[int, Subject]:
    return {number: Subject(identity, facts.get(number, [])) for identity, number in numbers.items()}
