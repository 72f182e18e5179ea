"""Large exports in their bucket: what was asked for, how far it is, and the export itself.

`requests/{id}.json` tells `export_events` to begin, `status/{id}.json` how far it is, `exports/{id}.{format}.gz` is the
export. The id is made from the request: the same one asked again finds the same export. The bucket deletes all of them.
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
        silence = {FAILED: PAUSE, WAITING: SILENCE, RUNNING: SILENCE}.get(self.state, LIFE)
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


def make_id(format_name: str, given: Mapping[str, str], *, masked: bool) -> str:
    """The id of an export."""
    content = json.dumps([format_name, masked, sorted(given.items())]).encode()
    return hashlib.sha256(content).hexdigest()[:32]


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
