"""The cohorts that benchmarks measure."""

import yaml

from bench.cohorts import DEFINITIONS
from cohort_evaluator.conditions import find_references
from cohort_evaluator.definitions import read_cohort


def test_definitions_are_fifty_that_can_be_read() -> None:
    """Each has a name of its own, and asks only for cohorts before it, so that the first ones stand for themselves."""
    cohorts = [read_cohort(definition) for definition in yaml.safe_load(DEFINITIONS.read_text())]
    names = [cohort.name for cohort in cohorts]
    assert len(set(names)) == len(names) == 50
    for number, cohort in enumerate(cohorts):
        assert find_references(cohort.members) <= set(names[:number])
