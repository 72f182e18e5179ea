"""The engine held against the oracle: random definitions, random schedules, equality after every tick."""

import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from cohort_evaluator import evaluation
from local.postgres import Postgres
from tests.cohorts.engine import Engine
from tests.cohorts.running import run
from tests.cohorts.schedules import make_steps
from tests.cohorts.shrinking import show_steps, shrink

SCHEDULES = int(os.environ.get("COHORT_SCHEDULES", "2000"))
FIRST = int(os.environ.get("COHORT_SEED", "1"))
AT_ONCE = 40  # schedules that share cohorts, ticks and what a tick costs whatever it finds
COHORTS = 6
# How far back a tick gathers events for all cohorts at once; what is older is read by another way.
GATHERED = (timedelta(days=100), timedelta(hours=36), timedelta(0))


@pytest.fixture
def engine(migrated: Postgres) -> Iterator[Engine]:
    """Over a database that is emptied for each run."""
    engine = Engine(migrated)
    yield engine
    engine.close()


@pytest.mark.slow
def test_engine_tells_what_the_oracle_tells(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever comes early, late, twice or in another order, whoever turns out to be one person, whatever definition is
    changed, and however ticks end or meet: after each tick the same memberships and the same transitions.
    """
    for seed in range(FIRST, FIRST + (SCHEDULES + AT_ONCE - 1) // AT_ONCE):
        monkeypatch.setattr(evaluation, "GATHERED", GATHERED[seed % len(GATHERED)])
        steps = make_steps(seed, AT_ONCE, COHORTS)
        if run(engine, steps) is not None:
            smallest, difference = shrink(steps, lambda some: run(engine, some))
            assert difference is not None, f"of seed {seed}, once only"
            pytest.fail(
                f"after the last tick (COHORT_SEED={seed}), {difference.who} in {difference.cohort}:\n"
                f"oracle: {difference.expected}\nengine: {difference.found}\n\n{show_steps(smallest)}",
                pytrace=False,
            )
