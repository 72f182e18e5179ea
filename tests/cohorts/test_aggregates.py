"""Figures of templates held against those that are counted event by event."""

import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

from cohort_evaluator.aggregates import compute, read_aggregates
from local.postgres import Postgres
from oracle.figures import find_figure
from oracle.people import History
from tests.cohorts.definitions import Definer
from tests.cohorts.engine import Engine
from tests.cohorts.eras import ERAS
from tests.cohorts.happenings import Maker, name_people

RUNS = int(os.environ.get("AGGREGATE_RUNS", "6"))
EVENTS = 500
NOBODY = {"name": "nobody", "title": "Nobody", "subject": "user", "members": {"share": 0}}


@pytest.fixture
def engine(migrated: Postgres) -> Iterator[Engine]:
    """Over a database that is emptied for each run."""
    engine = Engine(migrated)
    yield engine
    engine.close()


@pytest.mark.parametrize("seed", range(1, RUNS + 1))
def test_figures_are_those_that_are_counted(engine: Engine, seed: int) -> None:
    """Whatever the window, the field and its type, whoever turns out to be one person: for all people at once."""
    random = Random(seed)
    era = ERAS[seed % len(ERAS)]
    maker, history = Maker(random, name_people(seed), seed), History()
    spread = [timedelta(hours=random.choice((1, 6, 12)) * random.randint(-12, 12)) for _ in range(EVENTS)]
    happenings = [maker.make(era.middle + each) for each in spread]
    end = era.middle + timedelta(days=7)
    engine.empty(era.middle - timedelta(days=7), end)
    engine.save(NOBODY)
    engine.load(happenings, end)
    engine.tick(end)
    for happening in happenings:
        for fact in happening.facts:
            history.tell(fact)
    people = history.find_people(engine.read_numbers())
    definer = Definer(random, era)
    declared = {f"a{number}": definer.aggregate() for number in range(20)}
    found = 0
    for instant in (era.middle, era.middle + timedelta(hours=18, seconds=1), era.middle - timedelta(days=2)):
        with engine.read() as cursor:
            figures = compute(cursor, declared, sorted(people), instant)
        for number, subject in people.items():
            for aggregate in read_aggregates(declared):
                expected, told = find_figure(aggregate, subject, instant), figures[number][aggregate.name]
                if isinstance(expected, Decimal):
                    expected, told = float(expected), told if told is None else float(told)
                assert told == expected, (subject.own, instant, declared[aggregate.name])
                found += bool(told)
    assert found >= 10, "too few figures are of anything"
