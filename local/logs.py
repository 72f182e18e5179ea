"""Shows the logs of a stack's functions."""

import sys
import time
from pathlib import Path
from typing import TextIO

from local.state import NoStackError


def show_logs(folder: Path, function: str | None, *, follow: bool, lines: int, out: TextIO | None = None) -> None:
    """Prints the last lines of one log, or of all functions' logs; `follow` goes on until interrupted."""
    out = out or sys.stdout
    if function is not None and not (folder / f"{function}.log").exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log")))
        raise NoStackError(f"there is no log of {function}; there are {known}")
    pattern = "*.log" if function is None else f"{function}.log"
    positions: dict[Path, int] = {}
    for path in sorted(folder.glob(pattern)):
        text = path.read_bytes()
        positions[path] = len(text)
        _print(path, "\n".join(text.decode(errors="replace").splitlines()[-lines:]), out, named=function is None)
    while follow:
        time.sleep(0.2)
        for path in sorted(folder.glob(pattern)):
            with path.open("rb") as log:
                log.seek(positions.get(path, 0))
                text = log.read()
            positions[path] = positions.get(path, 0) + len(text)
            _print(path, text.decode(errors="replace"), out, named=function is None)


def _print(path: Path, text: str, out: TextIO, *, named: bool) -> None:
    prefix = f"{path.stem}: " if named else ""
    # The runtime puts carriage returns into an error of several lines, for CloudWatch; splitlines takes them for ends.
    for line in text.splitlines():
        print(f"{prefix}{line}", file=out)
    out.flush()
