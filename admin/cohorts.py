"""Applies cohorts from files by the API."""

from pathlib import Path

from admin.calls import call_api, check_url
from admin.cohort_files import read_folder

CREATED = 201


def check_cohorts(folder: Path) -> None:
    """Reads all files, and tells what they hold. Raises `CohortFilesError`."""
    files = read_folder(folder)
    for file in files:
        print(f"{file.cohort.name}: {file.cohort.title}")
    print(f"{len(files)} cohorts of {folder} are well formed")


def apply_cohorts(folder: Path, url: str, key: str) -> None:
    """Sends all to the API, whose `url` ends in /api/v1, and tells of each what became of it.

    Raises `CohortFilesError` before anything is sent, or `CallError`: those before it are applied, and to apply them
    again does no harm.
    """
    files = read_folder(folder)
    base = check_url(url)
    for file in files:
        status, answer = call_api("PUT", f"{base}/cohorts/{file.cohort.name}", key, file.definition)
        changed = "changed" if answer["results"]["changed"] else "unchanged"
        print(f"{'created' if status == CREATED else changed:<9}  {file.cohort.name}")
