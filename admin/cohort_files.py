"""Cohorts in files, one a file: all are read, and what is wrong is told, before any of them is applied."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# The functions' code is no installed package.
sys.path.append(str(Path(__file__).parents[1] / "functions"))

from admin.yaml_text import YamlError, find_line, read_yaml
from cohort_evaluator.conditions import Cohort, find_references
from cohort_evaluator.definitions import read_cohort
from cohort_evaluator.reading import DefinitionError
from common.events import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class CohortFile:
    """A file that is right by itself."""

    path: Path
    definition: Json
    cohort: Cohort


class CohortFilesError(ValueError):
    """Files that can't be applied: a line for each thing that is wrong."""


def read_folder(folder: Path) -> list[CohortFile]:
    """The cohorts of a folder's `*.yaml`; those that others ask for come before these. Raises `CohortFilesError`."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise CohortFilesError(f"{folder}: has no *.yaml")
    files: list[CohortFile] = []
    problems: list[str] = []
    for path in paths:
        try:
            files.append(read_file(path))
        except CohortFilesError as error:
            problems.append(str(error))
    problems.extend(_compare(files))
    if problems:
        raise CohortFilesError("\n".join(problems))
    named = {file.cohort.name: file for file in files}
    asks = {name: sorted(find_references(file.cohort.members) & named.keys()) for name, file in named.items()}
    try:
        return [named[name] for name in TopologicalSorter(asks).static_order()]
    except CycleError as error:
        raise CohortFilesError(f"{folder}: cohorts ask for each other: {', '.join(error.args[1])}") from None


def read_file(path: Path) -> CohortFile:
    """One file. Raises `CohortFilesError` with file, line, place and reason."""
    try:
        definition, lines = read_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise CohortFilesError(f"{path}: is not in UTF-8") from None
    except OSError as error:
        raise CohortFilesError(f"{path}: {error.strerror}") from None
    except YamlError as error:
        raise CohortFilesError(f"{path}:{error}") from None
    try:
        return CohortFile(path=path, definition=definition, cohort=read_cohort(definition))
    except DefinitionError as error:
        line = find_line(lines, error.place.removeprefix("definition."))
        raise CohortFilesError(f"{path}:{line}: {error}") from None


def _compare(files: list[CohortFile]) -> Iterator[str]:
    """What is wrong between files."""
    named: dict[str, CohortFile] = {}
    for file in files:
        other = named.setdefault(file.cohort.name, file)
        if other is not file:
            yield f"{file.path}: name: {file.cohort.name} is in {other.path}, too"
    for file in files:
        for name in sorted(find_references(file.cohort.members) & named.keys()):
            if named[name].cohort.subject != file.cohort.subject:
                yield f"{file.path}: members: {name} is a cohort of other subjects"
