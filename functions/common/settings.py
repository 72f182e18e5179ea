"""Settings come from the environment; one that is missing or malformed fails with its name."""

import os


class SettingError(Exception):
    """A setting is missing or can't be read; the message names it."""


def read_text(name: str, default: str | None = None) -> str:
    """The setting as text; an empty one counts as missing."""
    value = os.environ.get(name, "") or default
    if value is None:
        raise SettingError(f"set the environment variable {name}")
    return value


def read_number(name: str, default: int | None = None) -> int:
    """The setting as a whole number."""
    text = read_text(name, None if default is None else str(default))
    try:
        return int(text)
    except ValueError:
        raise SettingError(f"the environment variable {name} must be a whole number") from None
