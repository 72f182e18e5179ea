"""Random schedules: what arrives when, which cohorts there are, and when a tick evaluates them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from common.events import Json
from tests.cohorts.definitions import Definer
from tests.cohorts.eras import ERAS
from tests.cohorts.happenings import Happening, Maker, name_people

LAGS = (0, 0, 1, 1800, 3600, 21_600, 43_200, 86_400, 129_600, 172_800, 259_200)  # seconds
STEPS = (0, 1, 1800, 5400, 21_600, 21_600, 43_200, 86_400, 172_800)
STATEMENTS = 250  # about as many as a tick has
SHIFTS = (0, 0, 0, -1, 1)
PLAIN, AGAIN, TWICE = "plain", "again", "twice"
KILLED, LOST, FAILING = "killed", "lost", "failing"
AT_A_STATEMENT = (KILLED, LOST, FAILING)


@dataclass(frozen=True)
class Arrive:
    """Something comes in, with what else comes before the next step of another kind."""

    schedule: int
    happening: Happening
    held: bool = False  # its load is open while the next tick runs, and is committed after it
    again: bool = False  # it came before


@dataclass(frozen=True)
class Save:
    """A definition, new or another one of the same name."""

    definition: Json


@dataclass(frozen=True)
class Delete:
    """A cohort is given up."""

    name: str


@dataclass(frozen=True)
class Tick:
    """All cohorts are evaluated: once, at the same instant again, twice at once, or by a tick that is killed at a
    statement and run again, or not run again (lost), or one of whose statements takes too long (failing).
    """

    at: datetime
    way: str = PLAIN
    statement: int = 0  # at which it is killed or fails


Step = Arrive | Save | Delete | Tick


def make_steps(seed: int, schedules: int, cohorts: int) -> list[Step]:
    """So many schedules side by side: people of their own, cohorts and ticks in common."""
    random = Random(seed)
    era = random.choice(ERAS)
    definer = Definer(random, era)
    ticks = list(_make_ticks(random, era.middle))
    steps: list[list[Step]] = [[] for _ in ticks]  # those before each tick
    names: dict[str, list[str]] = {"user": [], "company": []}
    for number in range(cohorts):
        subject = "company" if random.random() < 0.33 else "user"
        others, name = names[subject][:], f"c{number}"
        names[subject].append(name)
        slot = random.choice((0, 0, 0, 1, 2))
        steps[slot].append(Save(definer.define(name, subject, others)))
        while slot + 1 < len(ticks) and random.random() < 0.25:
            slot = random.randrange(slot + 1, len(ticks))
            steps[slot].append(Save(definer.define(name, subject, others)))
        if slot + 1 < len(ticks) and random.random() < 0.1:
            slot = random.randrange(slot + 1, len(ticks))
            steps[slot].append(Delete(name))
            if random.random() < 0.5:  # it comes back, at once or later
                steps[random.randrange(slot, len(ticks))].append(Save(definer.define(name, subject, others)))
    for schedule in range(schedules):
        for slot, arrive in _make_arrivals(random, schedule, ticks):
            steps[slot].append(arrive)
    return [step for before, tick in zip(steps, ticks, strict=True) for step in (*before, tick)]


def _make_ticks(random: Random, middle: datetime) -> Iterator[Tick]:
    at = middle - timedelta(hours=random.choice((72, 48, 24, 6)))
    for number in range(random.randint(5, 9)):
        way = random.choice((PLAIN, PLAIN, AGAIN, TWICE, *AT_A_STATEMENT)) if number else random.choice((PLAIN, KILLED))
        last = random.choice((12, STATEMENTS))
        yield Tick(at, way, random.randrange(last) if way in AT_A_STATEMENT else 0)
        at += timedelta(seconds=max(0, random.choice(STEPS) + random.choice(SHIFTS)))
    yield Tick(at + timedelta(days=random.choice((3, 10, 70))))


def _make_arrivals(random: Random, schedule: int, ticks: list[Tick]) -> Iterator[tuple[int, Arrive]]:
    """Things with the number of the tick before which each comes."""
    alone = random.random() < 0.2
    maker = Maker(random, name_people(schedule, alone=alone), schedule)
    times: list[datetime] = []
    for _ in range(random.randint(15, 30) if alone else random.randint(3, 14)):
        slot = random.randrange(len(ticks) - 1)
        lag = random.choice(LAGS) if random.random() < 0.9 else -21_600  # a clock that is fast
        at = ticks[slot].at - timedelta(seconds=lag + random.choice(SHIFTS))
        if random.random() < 0.1:
            at += timedelta(microseconds=random.choice((1, 500_000, 1000)))
        if times and random.random() < 0.25:
            at = min(random.choice(times), ticks[slot].at + timedelta(hours=6))
        times.append(at)
        happening = maker.make(at)
        # A load that waits must not hold what others need: who is who, and what is known, are written under locks.
        held = random.random() < 0.1 and happening.source != "sparkpost"
        yield slot, Arrive(schedule, happening, held=held)
        if random.random() < 0.15:
            yield random.randrange(slot + 1, len(ticks)), Arrive(schedule, happening, again=True)
