"""Handlers that do what the tests of workers ask for."""

import os
import sys
import time
from collections.abc import Callable
from typing import Any

if os.environ.get("FAIL_TO_START"):
    raise RuntimeError("no start")


def handler(event: dict[str, Any], context: Any) -> Any:
    """Does what the event's `do` says."""
    actions: dict[str, Callable[[], Any]] = {
        "echo": lambda: event,
        "tell": lambda: {
            "pid": os.getpid(),
            "environment": dict(os.environ),
            "remaining_ms": context.get_remaining_time_in_millis(),
            "name": context.function_name,
            "request_id": context.aws_request_id,
        },
        "fail": lambda: 1 // 0,
        "exit": lambda: os._exit(7),
        "sleep": lambda: time.sleep(event["seconds"]),
        "large": lambda: "x" * (7 * 1024 * 1024),
        "print": lambda: print("said by the handler", file=sys.stderr),
    }
    return actions[event["do"]]()
