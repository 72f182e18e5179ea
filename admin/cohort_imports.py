"""Makes a cohort's file of another system's cohort."""

import json
import sys
from pathlib import Path

# The functions' code is no installed package.
sys.path.append(str(Path(__file__).parents[1] / "functions"))

from admin.yaml_text import write_yaml
from cohort_evaluator.imports.dittofeed import read_dittofeed
from cohort_evaluator.imports.imported import ImportRefusedError, find_name
from cohort_evaluator.imports.posthog import read_posthog


class ImportFileError(ValueError):
    """A file that can't be imported: file, place, reason."""


def import_cohort(system: str, path: Path, *, zone: str | None, name: str | None) -> None:
    """Prints our YAML, and on standard error in what the other system differs. Raises `ImportFileError`."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImportFileError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise ImportFileError(f"{path}: is not JSON") from None
    try:
        if name is None and not (isinstance(given, dict) and given.get("name")):
            name, _ = find_name(None, path.stem)
        if system == "dittofeed":
            imported = read_dittofeed(given, name=name)
        else:
            imported = read_posthog(given, name=name, zone=zone)
    except ImportRefusedError as error:
        raise ImportFileError(f"{path}: {error}") from None
    print(write_yaml(imported.definition), end="")
    for difference in imported.differences:
        print(f"{path}: {difference}", file=sys.stderr)
