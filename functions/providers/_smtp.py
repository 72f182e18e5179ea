"""What a receiving server's reply says in numbers."""

import re
from functools import lru_cache

# The reply code begins the text, or follows a word; the enhanced one (RFC 3463) follows it, or stands alone.
_CODE = re.compile(r"(?<![\d.])([2-5]\d\d)(?=[ \-]|$)")
_ENHANCED = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
LONGEST = 500  # characters in which the codes are looked for


def read_smtp(text: object) -> tuple[int | None, str | None]:
    """The reply code and the enhanced status code in the words of a receiving server, each if it is there."""
    return _read_smtp(text) if type(text) is str else (None, None)


@lru_cache(1000)
def _read_smtp(text: str) -> tuple[int | None, str | None]:
    head = text[:LONGEST]
    code = _CODE.search(head)
    enhanced = _ENHANCED.search(head)
    return (None if code is None else int(code[1])), (None if enhanced is None else enhanced[1])
