"""One export: rows from a cursor on the server, encoded, compressed, and uploaded in parts; never whole in memory."""

import io
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from boto3.s3.transfer import TransferConfig
from psycopg2.extensions import connection as Connection

from common.clock import format_instant, now
from common.errors import locate
from query_events.export_files import DONE, FAILED, RUNNING, ExportFiles, ExportRequest, Status, name_export
from query_events.export_text import FORMATS, show_page
from query_events.given import read_parameters
from query_events.search import stream_events

REPORT_SECONDS = 3.0  # between two reports of how far it is
LEVEL = 3  # of compression: 6 would take a fifth of all time
PART = 8 * 1024 * 1024  # bytes of a part of the upload
UPLOAD = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, use_threads=False)

log = logging.getLogger(__name__)


class TooLongError(Exception):
    """The time is up."""


class Stream(io.RawIOBase):
    """Chunks of text as a file of their gzip, made while it is read; `size` is how much was read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._packed = self._pack(chunks)
        self._rest = b""
        self.size = 0

    @staticmethod
    def _pack(chunks: Iterable[bytes]) -> Iterator[bytes]:
        packer = zlib.compressobj(LEVEL, wbits=31)
        for chunk in chunks:
            yield packer.compress(chunk)
        yield packer.flush()

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, fewer at the end."""
        wanted = PART if size is None or size < 0 else size
        pieces, have = [self._rest], len(self._rest)
        while have < wanted and (piece := next(self._packed, None)) is not None:
            pieces.append(piece)
            have += len(piece)
        whole = b"".join(pieces)
        self._rest = whole[wanted:]
        self.size += min(len(whole), wanted)
        return whole[:wanted]


@dataclass(kw_only=True)
class Exporter:
    """What an exporter keeps between invocations."""

    connect: Callable[[], Connection]
    files: ExportFiles
    client: Any  # boto3's, of S3
    bucket: str

    def export(self, export_id: str, may_go_on: Callable[[], bool]) -> Status | None:
        """Makes an export that was asked for; None if it is made already."""
        status = self.files.read_status(export_id)
        if status is None or status.state == DONE:
            return None
        try:
            status = self._write(export_id, status, may_go_on)
        except TooLongError:
            problem = "It takes longer than a function may run: ask for a shorter range, or add a filter."
            status = status.change(now(), state=FAILED, problem=problem)
        except Exception as failure:  # noqa: BLE001 (whoever waits must hear of it)
            log.error("failed", extra={"error": type(failure).__qualname__, "where": locate(failure)})
            status = status.change(now(), state=FAILED, problem="This is our mistake; ask again in some minutes.")
        self.files.write_status(export_id, status)
        log.info("export %s", status.state, extra={"events": status.events, "bytes": status.size})
        return status

    def _write(self, export_id: str, status: Status, may_go_on: Callable[[], bool]) -> Status:
        request = self.files.read_request(export_id)
        reported = [status.change(now(), state=RUNNING)]
        self.files.write_status(export_id, reported[0])
        at = time.monotonic()

        def report(events: int, reached: datetime) -> None:
            nonlocal at
            if not may_go_on():
                raise TooLongError
            reported[0] = reported[0].change(now(), events=events, reached=format_instant(reached))
            if time.monotonic() - at >= REPORT_SECONDS:
                self.files.write_status(export_id, reported[0])
                at = time.monotonic()

        with closing(self.connect()) as connection:
            stream = Stream(read_chunks(connection, request, report))
            self.client.upload_fileobj(
                stream,
                self.bucket,
                name_export(export_id, request.format),
                ExtraArgs={"ContentType": "application/gzip"},
                Config=UPLOAD,
            )
        return reported[0].change(now(), state=DONE, size=stream.size)


def read_chunks(
    connection: Connection, request: ExportRequest, report: Callable[[int, datetime], None]
) -> Iterator[bytes]:
    """The export's text in pieces; `report` is told how many events there were and the time of the last."""
    lines = FORMATS[request.format]
    values = read_parameters(request.given)
    values |= {"from": datetime.fromisoformat(request.begin), "to": datetime.fromisoformat(request.end)}
    yield lines.heading
    count = 0
    for page in stream_events(connection, values):
        yield lines.encode(show_page(page, masked=request.masked))
        count += len(page.events)
        report(count, page.keys[-1][0])
