"""Who is who, by the words of docs/behaviour.md, and what is known of each person and company."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from common.activities import COMPANY, FIRST, LAST, MERGE, USER, Identity
from oracle.facts import Event, Fact, Link, Write


class Subject:
    """A person, or a company, and all facts that are known of it."""

    def __init__(self, own: Identity, facts: Sequence[tuple[int, Fact]]) -> None:
        """Each fact comes behind its place in the order of arrival."""
        self.own = own
        self.arrivals = tuple(place for place, _ in facts)
        self.events = sorted(
            (fact for _, fact in facts if isinstance(fact, Event)), key=lambda event: (event.at, event.key)
        )
        self.writes = [fact for _, fact in facts if isinstance(fact, Write)]
        self.first_known = min((fact.at for _, fact in facts), default=None)
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
        """The companies, each by its own number: whom calls and actions name, or whose traits are known."""
        facts: dict[int, list[tuple[int, Fact]]] = defaultdict(list)
        for place, fact in enumerate(self.facts):
            company = None
            if isinstance(fact, Event) and fact.company is not None:
                company = Identity(COMPANY, fact.company)
            elif isinstance(fact, Write) and fact.identity.identity_type == COMPANY:
                company = fact.identity
            if company is not None and company in numbers:
                facts[numbers[company]].append((place, fact))
        return _make_subjects(facts, {each: numbers[each] for each in numbers if each.identity_type == COMPANY})

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


def _make_subjects(facts: Mapping[int, list[tuple[int, Fact]]], numbers: Mapping[Identity, int]) -> dict[int, Subject]:
    return {number: Subject(identity, facts.get(number, [])) for identity, number in numbers.items()}
