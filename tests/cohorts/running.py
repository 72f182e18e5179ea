"""Runs a schedule on both sides and finds the first difference."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from cohort_evaluator.definitions import read_cohort
from common.activities import Identity
from oracle.telling import Interval, Oracle
from tests.cohorts.engine import Engine
from tests.cohorts.schedules import AGAIN, FAILING, KILLED, LOST, TWICE, Arrive, Delete, Save, Step, Tick
from tests.integration.conftest import NOW


class Difference(NamedTuple):
    """What the two sides say after a tick."""

    place: int  # of the tick among the steps
    cohort: str
    who: str  # the names of the subject's identity; empty where it is about no one
    expected: str
    found: str


def run(engine: Engine, steps: Sequence[Step]) -> Difference | None:
    """Runs all steps, until the sides differ."""
    oracle = Oracle()
    times = [fact.at for step in steps if isinstance(step, Arrive) for fact in step.happening.facts] or [NOW]
    engine.empty(min(times), max(times))
    waiting: list[Arrive] = []
    for place, step in enumerate(steps):
        if isinstance(step, Arrive):
            waiting.append(step)
        elif isinstance(step, Save):
            engine.save(step.definition)
            oracle.save(read_cohort(step.definition))
        elif isinstance(step, Delete):
            if engine.delete(step.name):
                oracle.delete(step.name)
        else:
            difference = _tick(engine, oracle, waiting, step)
            waiting.clear()
            if difference is not None:
                return difference._replace(place=place)
    return None


def _tick(engine: Engine, oracle: Oracle, waiting: list[Arrive], tick: Tick) -> Difference | None:
    here = [one for one in waiting if not one.held]
    held = [one for one in waiting if one.held]
    engine.load([one.happening for one in here], tick.at)
    _tell(oracle, here)
    engine.hold([one.happening for one in held], tick.at)
    try:
        done = _evaluate(engine, tick)
    finally:
        engine.release()
    errors = engine.read_errors()
    if done and errors and tick.way != FAILING:
        name, error = errors.popitem()
        return Difference(0, name, "", "no error", error)
    numbers = engine.read_numbers()
    if done:
        oracle.tick(tick.at, numbers, errors)
    _tell(oracle, held)
    return next(_compare(engine, oracle, numbers), None)


def _tell(oracle: Oracle, arrivals: Sequence[Arrive]) -> None:
    for one in arrivals:
        for fact in one.happening.facts:
            oracle.tell(fact)


def _evaluate(engine: Engine, tick: Tick) -> bool:
    """Whether the tick was done."""
    killed = tick.way in (KILLED, LOST) and engine.kill(tick.at, tick.statement)
    if killed and tick.way == LOST:
        return False
    if tick.way == FAILING:
        return engine.fail(tick.at, tick.statement)
    if tick.way == TWICE:
        engine.tick_twice(tick.at)
    elif killed or tick.way not in (KILLED, LOST):
        engine.tick(tick.at)
    if tick.way == AGAIN:
        engine.tick(tick.at)
    return True


def _compare(engine: Engine, oracle: Oracle, numbers: dict[Identity, int]) -> Iterator[Difference]:
    names = {number: f"{identity.identity_type} {identity.value}" for identity, number in numbers.items()}
    expected, found = oracle.list_memberships(), engine.read_memberships()
    for cohort, subject in sorted(expected.keys() | found.keys()):
        sides = [sorted(map(_show, side.get((cohort, subject), []))) for side in (expected, found)]
        if sides[0] != sides[1]:
            yield Difference(0, cohort, names.get(subject, f"{subject}"), *map(", ".join, sides))
    told, done = oracle.list_transitions(), engine.read_transitions()
    for cohort, subject in sorted(told.keys() | done.keys()):
        lists = [
            ", ".join(f"{kind} {show_instant(at)} told {show_instant(when)}" for kind, at, when in side)
            for side in (told.get((cohort, subject), []), done.get((cohort, subject), []))
        ]
        if lists[0] != lists[1]:
            yield Difference(0, cohort, names.get(subject, f"{subject}"), *lists)


def _show(interval: Interval) -> str:
    return f"[{show_instant(interval.entered_at)}, {interval.exited_at and show_instant(interval.exited_at)})"


def show_instant(at: datetime) -> str:
    """Short, in UTC."""
    return at.isoformat().replace("+00:00", "Z")
