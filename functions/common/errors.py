"""Errors that become answers; each carries its HTTP status."""


class ApiError(Exception):
    """An answer in the one error body; `description` tells what to do."""

    def __init__(self, status: int, message: str, description: str = "", code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.description = description
        self.code = code or str(status)
