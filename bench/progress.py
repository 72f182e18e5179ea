"""Progress on stderr: one line that counts up where it is a terminal, a line now and then where it is not."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

EVERY_SECONDS = 0.5
EVERY_SECONDS_IN_LOG = 15.0


def say(message: str) -> None:
    """A step that is done, or begins."""
    print(message, file=sys.stderr, flush=True)


def count_up(what: str, total: int, unit: int = 1) -> Callable[[int], None]:
    """What is to be called with the number done so far; each stands for `unit` of the total."""
    terminal = sys.stderr.isatty()
    began = last = time.monotonic()

    def show(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        finished = done * unit >= total
        if not finished and now - last < (EVERY_SECONDS if terminal else EVERY_SECONDS_IN_LOG):
            return
        last = now
        end = "\n" if finished or not terminal else ""
        text = f"{what}: {min(done * unit, total):,} of {total:,} ({now - began:.0f} s)"
        print(("\r" if terminal else "") + text, end=end, file=sys.stderr, flush=True)

    return show
