"""Showing logs."""

import io
from pathlib import Path

import pytest

from local.logs import show_logs
from local.state import NoStackError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two logs."""
    (tmp_path / "Loader.log").write_bytes(b"one\n[ERROR] Oops\rTraceback:\r  line\nlast\n")
    (tmp_path / "Query.log").write_text("hello\n")
    return tmp_path


def show(folder: Path, function: str | None, lines: int = 100) -> list[str]:
    """The lines that are shown."""
    out = io.StringIO()
    show_logs(folder, function, follow=False, lines=lines, out=out)
    return out.getvalue().splitlines()


def test_one_log(folder: Path) -> None:
    """One function's log is shown as it is, errors of several lines readable."""
    assert show(folder, "Loader") == ["one", "[ERROR] Oops", "Traceback:", "  line", "last"]
    assert show(folder, "Loader", lines=1) == ["last"]


def test_all_logs(folder: Path) -> None:
    """All logs are shown with the name of each function."""
    assert show(folder, None, lines=1) == ["Loader: last", "Query: hello"]


def test_unknown_function(folder: Path) -> None:
    """A name without a log is answered with those that have one."""
    with pytest.raises(NoStackError, match="there are Loader, Query"):
        show(folder, "Nobody")
