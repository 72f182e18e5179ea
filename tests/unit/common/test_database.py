import psycopg2
import psycopg2.errors
import pytest

from common.database import DatabaseSettings, DatabaseUnavailableError, connect, is_transient


class Coded(psycopg2.Error):
    """An error with a code of our choice."""

    def __init__(self, code: str) -> None:
        super().__init__("some text")
        self._code = code

    @property
    def pgcode(self) -> str:  # type: ignore[override]
        """The SQLSTATE."""
        return self._code


@pytest.mark.parametrize("code", ["08006", "40001", "40P01", "53300", "57P01", "57P03", "25006"])
def test_passing_failures_are_transient(code: str) -> None:
    """Lost connections, deadlocks, full servers and shutdowns are worth another try."""
    assert is_transient(Coded(code))


@pytest.mark.parametrize("code", ["23505", "42P01", "22021", "57014", "42501"])
def test_lasting_failures_are_not(code: str) -> None:
    """What fails again the same way is not."""
    assert not is_transient(Coded(code))


def test_broken_connection_is_transient() -> None:
    """A connection that broke has no code."""
    assert is_transient(psycopg2.OperationalError("server closed the connection unexpectedly"))
    assert not is_transient(psycopg2.ProgrammingError("no results to fetch"))


def test_unreachable_database_tells_no_secret() -> None:
    """The error names the host but neither user nor password."""
    settings = DatabaseSettings("127.0.0.1", 1, "mailwake", "ada", "disable", "", "hunter2")
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1") as caught:
        connect(settings)
    assert "hunter2" not in str(caught.value)
