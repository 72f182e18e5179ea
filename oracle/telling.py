"""What has been told of cohorts, tick after tick, by the words of docs/decisions/0009-cohorts.md."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from cohort_evaluator.conditions import USER, Cohort, find_references
from common.activities import Identity
from oracle.facts import Fact
from oracle.people import History, Subject
from oracle.truth import is_true, list_instants


class Interval(NamedTuple):
    """A membership: from the first instant until before the second."""

    entered_at: datetime
    exited_at: datetime | None = None

    def covers(self, instant: datetime) -> bool:
        """Whether it holds the instant."""
        return self.entered_at <= instant and (self.exited_at is None or instant < self.exited_at)


class Transition(NamedTuple):
    """A change of a membership."""

    kind: str  # entered or exited
    at: datetime
    told_at: datetime


@dataclass
class _Told:
    """What was told of a cohort and a subject."""

    intervals: list[Interval] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    @property
    def is_member(self) -> bool:
        return bool(self.intervals) and self.intervals[-1].exited_at is None

    def change(self, at: datetime, told_at: datetime) -> None:
        if self.is_member:
            self.intervals[-1] = self.intervals[-1]._replace(exited_at=at)
            self.transitions.append(Transition("exited", at, told_at))
        else:
            self.intervals.append(Interval(at))
            self.transitions.append(Transition("entered", at, told_at))


@dataclass
class _InForce:
    """A definition from the tick on that switched it on."""

    cohort: Cohort
    switched_on_at: datetime
    known_to: int  # the greatest number of an identity that was known by then
    # Of each subject what its truths rest on, and the truths: they are the same until something new is known.
    truths: dict[int, tuple[object, dict[datetime, bool]]] = field(default_factory=dict)


@dataclass
class _State:
    """A cohort by its name."""

    wanted: Cohort  # what the next tick switches on
    in_force: _InForce | None = None
    deleted: bool = False
    told: dict[int, _Told] = field(default_factory=lambda: defaultdict(_Told))


class Oracle:
    """Is told facts, definitions and ticks; knows what is to be told after each tick."""

    def __init__(self) -> None:
        self._history = History()
        self._cohorts: dict[str, _State] = {}

    def tell(self, fact: Fact) -> None:
        """A fact has arrived."""
        self._history.tell(fact)

    def save(self, cohort: Cohort) -> None:
        """A new definition, or another one of the same name; the next tick switches it on."""
        state = self._cohorts.setdefault(cohort.name, _State(cohort))
        if state.deleted or state.wanted != cohort:
            state.wanted, state.deleted = cohort, False

    def delete(self, name: str) -> None:
        """The next tick lets everybody leave."""
        self._cohorts[name].deleted = True

    def tick(self, instant: datetime, numbers: Mapping[Identity, int], failed: Collection[str] = ()) -> None:
        """Tells everything up to an instant, no earlier than the tick before, but of cohorts that failed.

        `numbers`: by which identities go.
        """
        people, companies = self._history.find_people(numbers), self._history.find_companies(numbers)
        for name in self._order():
            state = self._cohorts[name]
            if name in failed:
                continue
            if state.deleted:
                self._let_leave(state, {}, instant)
                state.in_force = None
                continue
            subjects = people if state.wanted.subject == USER else companies
            if state.in_force is None or state.in_force.cohort is not state.wanted:
                state.in_force = _InForce(state.wanted, instant, max(numbers.values(), default=0))
            self._let_leave(state, subjects, instant)
            for number, subject in sorted(subjects.items()):
                self._tell_changes(state.in_force, state.told[number], number, subject, instant)

    def _order(self) -> list[str]:
        """The names of cohorts, each behind those that it asks for."""
        order: list[str] = []

        def visit(name: str) -> None:
            if name in self._cohorts and name not in order:
                for inner in sorted(find_references(self._cohorts[name].wanted.members)):
                    visit(inner)
                order.append(name)

        for name in sorted(self._cohorts):
            visit(name)
        return order

    @staticmethod
    def _let_leave(state: _State, subjects: Mapping[int, Subject], instant: datetime) -> None:
        """Those who are no subjects of their own any more leave."""
        for number, told in state.told.items():
            if number not in subjects and told.is_member:
                told.change(instant, instant)

    def _tell_changes(self, force: _InForce, told: _Told, number: int, subject: Subject, instant: datetime) -> None:
        """Makes what was told of one subject equal to the truth, from the last that was told on."""
        begin = max([force.switched_on_at, *(transition.at for transition in told.transitions[-1:])])
        members = force.cohort.members
        inner = {name: self._find_intervals(name, number) for name in sorted(find_references(members))}
        there = find_earliest(
            subject.first_known,
            force.switched_on_at if number <= force.known_to else None,
            *(interval.entered_at for intervals in inner.values() for interval in intervals),
        )
        if there is None:
            return
        instants = {begin, there} | list_instants(members, subject, instant)
        for intervals in inner.values():
            instants.update(limit for interval in intervals for limit in interval if limit is not None)
        basis = subject.arrivals, there, [*inner.values()]
        if number not in force.truths or force.truths[number][0] != basis:
            force.truths[number] = basis, {}
        truths = force.truths[number][1]
        for at in sorted(at for at in instants if begin <= at <= instant):
            if at not in truths:
                truths[at] = at >= there and is_true(
                    members, subject, at, lambda name, when: any(interval.covers(when) for interval in inner[name])
                )
            if truths[at] != told.is_member:
                told.change(at, instant)

    def _find_intervals(self, name: str, number: int) -> list[Interval]:
        """What is told of a subject in a cohort; nothing where there is no such cohort."""
        state = self._cohorts.get(name)
        return [] if state is None or state.deleted or number not in state.told else [*state.told[number].intervals]

    def list_memberships(self) -> dict[tuple[str, int], list[Interval]]:
        """Cohort and subject → its intervals in the order in which they were told; of those who ever were members."""
        return {
            (name, number): [*told.intervals]
            for name, state in self._cohorts.items()
            for number, told in state.told.items()
            if told.intervals
        }

    def list_transitions(self) -> dict[tuple[str, int], list[Transition]]:
        """Cohort and subject → its transitions in the order in which they were told."""
        return {
            (name, number): [*told.transitions]
            for name, state in self._cohorts.items()
            for number, told in state.told.items()
            if told.transitions
        }


def find_earliest(*instants: datetime | None) -> datetime | None:
    """The earliest of those that are known."""
    return min((instant for instant in instants if instant is not None), default=None)
