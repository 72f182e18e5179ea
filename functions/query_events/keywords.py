"""Keyword filters: a text matches where its words stand in the searched text one after the other, in any case.

`campaigns=black-friday` finds `Black_Friday-2026` and neither `blackfriday` nor `friday-black`. What separates words is
a regular expression, read by Python and by Postgres alike. The functions of the same names are in sql/migrations.
"""

import re
from typing import Final, NamedTuple

WORDS: Final = "[-_ ]+"  # SparkPost's keywords
DOMAINS: Final = "[-_ .]+"  # its keywords of domains: periods separate too
TERMS: Final = "[^0-9a-z]+"  # user agents: whatever is neither letter nor digit separates


class Keywords(NamedTuple):
    """What a keyword filter binds; an event matches where one pattern does."""

    patterns: list[str]  # LIKE: the words with one space around each
    rarest: list[str]  # of each pattern the longest word, for an index of words
    common: list[str]  # the words that all patterns have


def fold(text: str) -> str:
    """Lower case, each character by itself, as Postgres' collation pg_c_utf8 makes it."""
    return "".join([character.lower()[0] for character in text])


def split_words(text: str, separator: str = WORDS) -> list[str]:
    """The words of a text, in lower case."""
    return [word for word in re.split(separator, fold(text)) if word]


def escape_pattern(text: str) -> str:
    """The LIKE pattern that matches this text alone."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def build_keywords(texts: list[str], separator: str) -> Keywords:
    """What matches one of these texts. A text without a word matches nothing."""
    values = [words for text in texts if (words := split_words(text, separator))]
    patterns = [f"% {escape_pattern(' '.join(words))} %" for words in values]
    common = set.intersection(*map(set, values)) if values else set()
    return Keywords(patterns, [max(words, key=len) for words in values], sorted(common))
