"""Errors that become answers; each carries its HTTP status. Others are logged by where they came from."""

from traceback import extract_tb


class ApiError(Exception):
    """An answer in the one error body; `description` tells what to do."""

    def __init__(self, status: int, message: str, description: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.description = description
        self.code = code or str(status)


def locate(failure: BaseException) -> list[str]:
    """Where it came from, the innermost last: for the log. Its text stays out of that, as it may hold an address."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(failure.__traceback__)]
