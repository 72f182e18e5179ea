"""The loader's library in C (layers/postgres/regular/), which lies beside the third-party packages."""

import ctypes
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LIBRARY = "libregular.so"
VERSION = 1

log = logging.getLogger(__name__)


def open_library(part: str, what: str, functions: Iterable[tuple[Any, ...]]) -> ctypes.CDLL | None:
    """The library with the functions of a part: each its name without the part's, its result, its arguments.

    None where it is missing, another version or of another processor; `what` is then said to be rendered in Python.
    """
    path = next((path for place in sys.path if (path := Path(place, LIBRARY)).is_file()), None)
    try:
        library = None if path is None else ctypes.CDLL(str(path))
        if library is None or getattr(library, f"{part}_version")() != VERSION:
            log.warning("%s is missing or another version: %s are rendered in Python", LIBRARY, what)
            return None
        for name, result, *arguments in functions:
            function = getattr(library, f"{part}_{name}")
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError):
        log.warning("%s can't be used: %s are rendered in Python", LIBRARY, what)
        return None
    return library
