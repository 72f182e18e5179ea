"""The process that plays AWS: a moto server with what moto lacks for tests of faults, and for reading sent mails.

Run as `python -m local.cloud_server`. It prints its port on the first line of its output. `PUT /_faults` with a JSON
object sets `Faults` and answers what they were; `GET /_mails?after=N` answers the mails that SES took after the first
N, with their tags, which moto forgets; everything else is moto. Two things of moto's are changed: deleting a
message from a queue is made safe against other threads (moto 5.2 replaces the list of messages, and can lose one that
arrives meanwhile), and S3's notifications can be delayed or repeated, which S3 does too but moto never.
"""

# ruff: noqa: SLF001 (changing moto means reaching into it)

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qs

import moto.s3.notifications
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Queue
from werkzeug.serving import make_server

StartResponse = Callable[..., Any]


@dataclass(kw_only=True)
class Faults:
    """What goes wrong on purpose."""

    refuse_s3: bool = False  # S3 answers 503 to every request
    refuse_s3_reads: bool = False  # only to GET and HEAD
    notification_delay: float = 0.0  # seconds until S3 tells the queue of an object
    notification_copies: int = 1  # how often it does


FAULTS = Faults()
MAILS: list[dict[str, Any]] = []  # {"id": SES's, "at": seconds since 1970, "request": of SendEmail}
SEND_EMAIL = "/v2/email/outbound-emails"

_SLOW_DOWN = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"""


class FaultyApplication:
    """moto's WSGI application, behind the faults."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answers one request."""
        if environ["PATH_INFO"] == "/_faults":
            return _set_faults(environ, start_response)
        if environ["PATH_INFO"] == "/_mails":
            return _list_mails(environ, start_response)
        if environ["PATH_INFO"] == SEND_EMAIL:
            return self._send_email(environ, start_response)
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        if _is_s3(environ) and (FAULTS.refuse_s3 or (FAULTS.refuse_s3_reads and reads)):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [_SLOW_DOWN]
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _send_email(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        statuses: list[str] = []

        def start(status: str, headers: Any, *others: Any) -> Any:
            statuses.append(status)
            return start_response(status, headers, *others)

        answer = b"".join(self._moto(environ, start))
        if statuses[0].startswith("200"):
            MAILS.append({"id": json.loads(answer)["MessageId"], "at": time.time(), "request": json.loads(body)})
        return [answer]


def _list_mails(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    after = int(parse_qs(environ.get("QUERY_STRING", "")).get("after", ["0"])[0])
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(MAILS[after:]).encode()]


def _is_s3(environ: dict[str, Any]) -> bool:
    return "/s3/aws4_request" in environ.get("HTTP_AUTHORIZATION", "") + environ.get("QUERY_STRING", "")


def _set_faults(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    before = asdict(FAULTS)
    for name, value in json.loads(body or b"{}").items():
        if not hasattr(FAULTS, name):
            start_response("400 Bad Request", [])
            return [f"no fault named {name}".encode()]
        setattr(FAULTS, name, value)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(before).encode()]


def _delete_message(queue: Queue, receipt_handle: str) -> None:
    """Deletes in place and under the queue's lock; otherwise as moto does."""
    if receipt_handle in queue.deleted_messages:
        return
    with queue._messages_lock:
        found = [message for message in queue._messages if message.had_receipt_handle(receipt_handle)]
        for message in found:
            queue._messages.remove(message)
            queue.pending_messages.discard(message)
            queue.deleted_messages.update(handle for handle in message.all_receipt_handles if handle is not None)
    if not found:
        raise ReceiptHandleIsInvalid


_send_at_once = moto.s3.notifications._send_sqs_message


def _send_notification(account_id: str, event_body: Any, queue_name: str, region_name: str) -> None:
    def send() -> None:
        for _ in range(FAULTS.notification_copies):
            _send_at_once(account_id, event_body, queue_name, region_name)

    if FAULTS.notification_delay:
        timer = threading.Timer(FAULTS.notification_delay, send)
        timer.daemon = True
        timer.start()
    else:
        send()


class _RequestHandler(MotoRequestHandler):
    """Keeps connections open, and writes no access log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: a line per request hides what matters."""


def main() -> None:
    """Serves on a free port of 127.0.0.1 until killed."""
    setattr(Queue, "delete_message", _delete_message)  # noqa: B010 (says that it is meant)
    moto.s3.notifications._send_sqs_message = _send_notification
    server = make_server("127.0.0.1", 0, FaultyApplication(), threaded=True, request_handler=_RequestHandler)
    print(server.server_port, flush=True)
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
