"""Applies cohorts from files by the API."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from admin.cohort_files import read_folder

TIMEOUT_SECONDS = 60
CREATED = 201


class ApplyError(Exception):
    """The API did not take a cohort, or is not there. Those before it are applied; to apply them again does no harm."""


def check_cohorts(folder: Path) -> None:
    """Reads all files, and tells what they hold. Raises `CohortFilesError`."""
    files = read_folder(folder)
    for file in files:
        print(f"{file.cohort.name}: {file.cohort.title}")
    print(f"{len(files)} cohorts of {folder} are well formed")


def apply_cohorts(folder: Path, url: str, key: str) -> None:
    """Sends all to the API, whose `url` ends in /api/v1, and tells of each what became of it.

    Raises `CohortFilesError` before anything is sent, or `ApplyError`.
    """
    files = read_folder(folder)
    if urlsplit(url).scheme not in ("http", "https"):
        raise ApplyError(f"{url} is no URL of an API: it begins with https://, and ends in /api/v1")
    for file in files:
        status, answer = _put(f"{url.rstrip('/')}/cohorts/{file.cohort.name}", key, file.definition)
        changed = "changed" if answer["results"]["changed"] else "unchanged"
        print(f"{'created' if status == CREATED else changed:<9}  {file.cohort.name}")


def _put(url: str, key: str, body: object) -> tuple[int, Any]:
    """The status and the answer. Raises `ApplyError`."""
    headers = {"authorization": key, "content-type": "application/json", "accept": "application/json"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="PUT", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise ApplyError(f"PUT {url}: {error.code}: {_find_reason(error.read())}") from None
    except (OSError, ValueError) as error:
        raise ApplyError(f"PUT {url}: {getattr(error, 'reason', error)}") from None


def _find_reason(body: bytes) -> str:
    """What an error's body says."""
    try:
        error = json.loads(body)["errors"][0]
        return ": ".join(str(error[part]) for part in ("message", "description") if error.get(part))
    except (ValueError, LookupError, TypeError, AttributeError):
        return body[:200].decode(errors="replace")
