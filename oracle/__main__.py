"""Checks a cohort of a deployment on a sample of people: `python -m oracle --help`. Exits 1 if it finds a difference.

Everything is read through the API. What was loaded since the last evaluation is known to the API and not yet told:
whoever seems to differ is looked at again after the next evaluation, and only then counts.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from common.activities import Identity
from common.events import Json
from oracle.deployment import CheckError, Fetch, Finding, check_person, read_state, sample_people

TIMEOUT_S: Final = 60
TRIES: Final = 5  # where the API asks for patience
PATIENCE_S: Final = 300  # for the next evaluation


def main() -> int:
    """Checks, and tells what differs."""
    parser = argparse.ArgumentParser(prog="python -m oracle", description=__doc__)
    parser.add_argument("cohort", help="its name")
    parser.add_argument("--url", default="http://127.0.0.1:8600/api/v1", help="of the API (%(default)s)")
    parser.add_argument("--key", default=os.environ.get("MAILWAKE_API_KEY", ""), help="with events:read and pii:read")
    parser.add_argument("--people", type=int, default=100, help="how many to look at (%(default)s)")
    parser.add_argument("--user", action="append", default=[], help="somebody to look at, by the user's id")
    options = parser.parse_args()
    if urlsplit(options.url).scheme not in ("http", "https"):
        parser.error(f"{options.url} is no URL of an API")
    fetch = open_api(options.url.rstrip("/"), options.key)
    try:
        read_state(fetch, options.cohort)
        people = [Identity("user", user) for user in options.user] or sample_people(
            fetch, options.cohort, options.people
        )
        findings = check(fetch, options.cohort, people)
    except CheckError as failure:
        print(failure, file=sys.stderr)
        return 2
    for finding in findings:
        print(show(finding))
    print(f"{len(people)} people looked at, {len(findings)} differ")
    return 1 if findings else 0


def check(fetch: Fetch, name: str, people: list[Identity], pause_s: float = 5.0) -> list[Finding]:
    """Who differs, and still does after the next evaluation. Raises `CheckError`."""
    state = read_state(fetch, name)
    suspects = [who for who in people if check_person(fetch, state, who)]
    if not suspects:
        return []
    end = time.monotonic() + PATIENCE_S
    next_state = read_state(fetch, name)
    while next_state.evaluated_at <= state.evaluated_at:
        if time.monotonic() > end:
            raise CheckError(f"{name} is not evaluated any more: its members are known up to {state.evaluated_at}")
        time.sleep(pause_s)
        next_state = read_state(fetch, name)
    found = [check_person(fetch, next_state, who) for who in suspects]
    return [finding for finding in found if finding is not None]


def show(finding: Finding) -> str:
    """A line for a person."""
    told = ", ".join(f"[{entered}, {exited or '…'})" for entered, exited in finding.told) or "never a member"
    expected = "a member" if finding.expected else "no member"
    return f"{finding.who.identity_type} {finding.who.value}: {expected} at {finding.at}, but told: {told}"


def open_api(url: str, key: str) -> Fetch:
    """Asks a deployment. What it finds nothing of is a `LookupError`, any other refusal a `CheckError`."""

    def fetch(path: str, parameters: Mapping[str, str]) -> Json:
        asked = f"{url}{path}?{urlencode(parameters)}"
        request = urllib.request.Request(asked, headers={"authorization": key, "accept": "application/json"})  # noqa: S310
        for number in range(TRIES):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - its scheme was checked
                    found: Json = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 404:
                        raise LookupError(path) from None
                    if error.code not in (429, 503) or number == TRIES - 1:
                        raise CheckError(f"GET {asked}: {error.code}") from None
                    time.sleep(float(error.headers.get("Retry-After", 2**number)))
            except (OSError, ValueError) as error:
                raise CheckError(f"GET {asked}: {getattr(error, 'reason', error)}") from None
        raise CheckError(f"GET {asked}: no answer")

    return fetch


if __name__ == "__main__":
    sys.exit(main())
