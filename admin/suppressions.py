"""Imports lists of whom not to mail by the API (docs/api.md): SparkPost's, or our own."""

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

# The functions' code is no installed package.
sys.path.append(str(Path(__file__).parents[1] / "functions"))

from admin.calls import CallError, call_api, check_url
from admin.suppression_files import Found, read_file
from cohort_evaluator.reading import DefinitionError
from cohort_evaluator.suppression_lists import read_own, read_sparkpost

AT_ONCE: Final = 5_000  # entries of a request; the API takes 10,000
MOST_SHOWN: Final = 20  # lines that are wrong
PAUSES: Final = (1, 2, 5, 10, 20)  # seconds before a list is sent again
KEPT: Final = ("address", "topic", "reason", "event_at")  # of our own entries; a page has more
Send = Callable[[dict[str, Any]], dict[str, Any]]  # a list to the API, and its `results`


def import_suppressions(path: Path, send: Send | None, *, skip_bad: bool = False) -> bool:
    """Sends the entries of a file; False where lines are wrong, and `skip_bad` does not leave them out.

    The whole file is checked before anything is sent; without `send` that is all. Raises `ListFileError`, `OSError`,
    and what `send` raises: what was sent before is kept, and sending it again does no harm.
    """
    good, bad, off = 0, 0, 0
    for found in read_file(path):
        reason, is_off = check(found)
        good, bad, off = good + (not reason and not is_off), bad + bool(reason), off + is_off
        if reason and bad <= MOST_SHOWN:
            print(f"line {found.line}: {reason}", file=sys.stderr)
    if bad > MOST_SHOWN:
        print(f"and {bad - MOST_SHOWN:,} more", file=sys.stderr)
    taken_off = f", {off:,} were taken off the list and are left out" if off else ""
    print(f"{path.name}: {good:,} entries, {bad:,} that can't be read{taken_off}")
    if bad and not skip_bad:
        print("nothing is imported; mend these lines, or leave them out by --skip-bad", file=sys.stderr)
        return False
    if send is not None and good:
        _send_all(path, good, send)
    return True


def _send_all(path: Path, count: int, send: Send) -> None:
    began, sent, added = time.monotonic(), 0, 0
    entries = _sort_out(found.value for found in read_file(path) if check(found) == ("", False))
    while part := list(islice(entries, AT_ONCE)):
        # Both shapes may stand in one file, one request has one of them.
        for name in ("recipients", "entries"):
            if chosen := [one for kind, one in part if kind == name]:
                added += send({name: chosen})["added"]
                sent += len(chosen)
        if sys.stderr.isatty():
            print(f"\r{sent:,} of {count:,}", end="", flush=True, file=sys.stderr)
    new_line = "\n" if sys.stderr.isatty() else ""
    print(f"{new_line}{sent:,} sent in {time.monotonic() - began:.1f} s, {added:,} of them are new on the list")


def _sort_out(entries: Iterator[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The list that each belongs to, and what of it the API asks for."""
    for entry in entries:
        if "address" in entry:
            yield "entries", {name: entry[name] for name in KEPT if entry.get(name) is not None}
        else:
            dropped = ("description", "list_id", "subaccount_id")
            yield "recipients", {name: value for name, value in entry.items() if name not in dropped}


def check(found: Found) -> tuple[str, bool]:
    """Why an entry can't be read, if it can't; and whether it is one of ours that was taken off the list."""
    value, instant = found.value, datetime.now(UTC)
    if not isinstance(value, dict):
        return value if isinstance(value, str) and value.startswith("it has") else "it is no entry", False
    try:
        if "address" in value:
            read_own({name: value[name] for name in KEPT if value.get(name) is not None}, "entry", instant, "")
            return "", bool(value.get("removed_at"))
        read_sparkpost(value, "entry", instant)
    except DefinitionError as failure:
        return f"{failure.place.removeprefix('entry.')} {failure.reason}", False
    return "", False


def open_list(url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> Send:
    """What sends lists to an API. It asks again for a while where the API is busy or away: nothing is added twice.

    Raises `CallError`.
    """
    base = check_url(url)

    def send(body: dict[str, Any]) -> dict[str, Any]:
        for pause in PAUSES:
            try:
                return _post(f"{base}/suppressions", key, body)
            except CallError as failure:
                if not failure.may_pass:
                    raise
            sleep(pause)
        return _post(f"{base}/suppressions", key, body)

    return send


def _post(url: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    results: dict[str, Any] = call_api("POST", url, key, body)[1]["results"]
    return results
