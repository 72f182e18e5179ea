"""One environment of the mailer, as Lambda runs it: its handler, and the poller that hands it batches of the queue.

Run as `python -m bench.mail_worker PORT BATCH_SIZE`, with the mailer's variables in the environment.
"""

import http.client
import json
import logging
import sys
from typing import Any


def ask(connection: http.client.HTTPConnection, path: str, given: Any = None) -> Any:
    """An answer of the stand-in."""
    connection.request("POST", path, body=json.dumps(given or {}))
    return json.loads(connection.getresponse().read())


def main(port: int, batch_size: int) -> None:
    """Works batches off until the queue is over."""
    from mailer.app import handler  # reads its variables, and takes its time

    logging.disable(logging.WARNING)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while True:
        event = ask(connection, f"/queue/receive?most={batch_size}")
        if event["is_over"]:
            return
        if event["Records"]:
            failed = [one["itemIdentifier"] for one in handler(event, None)["batchItemFailures"]]
            settled = {"records": [record["messageId"] for record in event["Records"]], "failed": failed}
            ask(connection, "/queue/settle", settled)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
