"""Large exports in their bucket: what was asked for, how far it is, and the export itself.

`requests/{id}.json` tells `export_events` to begin, `status/{id}.json` how far it is, `exports/{id}.{format}.gz` is the
export. The id is made from what is asked for: asked again, in other words too, it finds the same export.
`status/begun/{caller}/{hour}/{number}` counts what a caller had begun. The bucket deletes all of them.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from common.aws import AwsError
from common.clock import format_instant
from common.json_text import decode_json, encode_json
from common.objects import Bucket

REQUESTS: Final = "requests/"
LIFE: Final = timedelta(hours=24)  # the bucket keeps them for longer than that
SILENCE: Final = timedelta(minutes=20)  # after which whoever wrote an export is taken for dead
QUEUE: Final = timedelta(
    hours=3
)  # after which what waits is taken for lost: twenty long ones, two at a time, may go before
PAUSE: Final = timedelta(minutes=5)  # between a failure and the next try
LINK_SECONDS: Final = 3_600
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"


class ExportRequest(NamedTuple):
    """What is asked for; the range is fixed when it is asked for the first time."""

    format: str
    given: dict[str, str]  # the search's parameters
    begin: str  # ISO 8601
    end: str
    masked: bool


class Status(NamedTuple):
    """How far an export is."""

    state: str
    began_at: str  # when it was asked for
    changed_at: str
    begin: str  # of its range
    end: str
    events: int = 0  # written so far
    reached: str = ""  # the time of the last of them: they go from the end of the range to its begin
    size: int = 0  # bytes, compressed
    problem: str = ""

    def change(self, instant: datetime, **changes: str | int) -> "Status":
        """The same export, further on."""
        return self._replace(changed_at=format_instant(instant), **changes)  # type: ignore[arg-type]

    def holds(self, instant: datetime) -> bool:
        """Whether it still answers the request, rather than a new export."""
        began, changed = datetime.fromisoformat(self.began_at), datetime.fromisoformat(self.changed_at)
        if instant - began >= LIFE:
            return False
        silence = {FAILED: PAUSE, WAITING: QUEUE, RUNNING: SILENCE}.get(self.state, LIFE)
        return instant - changed < silence

    @property
    def progress(self) -> float:
        """From 0 to 1, as far as the range goes."""
        if self.state == DONE:
            return 1.0
        if not self.reached:
            return 0.0
        begin, end, reached = map(datetime.fromisoformat, (self.begin, self.end, self.reached))
        return round(max(0.0, min(1.0, (end - reached) / (end - begin))), 3)


def make_id(format_name: str, filters: Mapping[str, object], *, masked: bool) -> str:
    """The id of an export: the same for the same values of filters, however they were written; lists have no order."""
    asked = {name: sorted(set(value)) if type(value) is list else value for name, value in filters.items()}
    return _hash(json.dumps([format_name, masked, sorted(asked.items())], default=str))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ExportFiles:
    """The bucket of exports."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def read_status(self, export_id: str) -> Status | None:
        """How far an export is; None if there is none."""
        try:
            return Status(**decode_json(self._bucket.get(f"status/{export_id}.json").body))
        except AwsError as failure:
            if failure.status == 404:
                return None
            raise

    def write_status(self, export_id: str, status: Status) -> None:
        """Says how far it is."""
        self._bucket.put(f"status/{export_id}.json", encode_json(status._asdict()))

    def may_begin(self, caller: str, most: int, instant: datetime) -> bool:
        """Whether a caller has begun fewer than `most` exports in this hour of the clock; if so, this one counts."""
        place = f"status/begun/{_hash(caller)}/{instant.astimezone(UTC):%Y%m%d%H}"
        empty = hashlib.sha256(b"").hexdigest()
        return any(self._bucket.put_new(f"{place}/{number}", b"", {}, empty) for number in range(most))

    def begin(self, export_id: str, request: ExportRequest, instant: datetime) -> Status:
        """Has an export made."""
        at = format_instant(instant)
        status = Status(WAITING, at, at, request.begin, request.end)
        self.write_status(export_id, status)
        self._bucket.put(f"{REQUESTS}{export_id}.json", encode_json(request._asdict()))
        return status

    def read_request(self, export_id: str) -> ExportRequest:
        """What is asked for."""
        return ExportRequest(**decode_json(self._bucket.get(f"{REQUESTS}{export_id}.json").body))

    def link(self, export_id: str, format_name: str) -> str:
        """Where the export can be fetched for an hour."""
        name = f"events-{datetime.now(UTC):%Y%m%d}-{export_id[:8]}.{format_name}.gz"
        return self._bucket.presign(name_export(export_id, format_name), LINK_SECONDS, name)


def name_export(export_id: str, format_name: str) -> str:
    """The key of an export."""
    return f"exports/{export_id}.{format_name}.gz"
