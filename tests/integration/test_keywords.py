"""Keywords as Postgres compares them, against a comparison written in plain Python."""

import sys
import unicodedata
from collections.abc import Callable, Iterator

import psycopg2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection
from pypika import PostgreSQLQuery as Query
from pypika import Table
from pypika.functions import Cast

from local.postgres import Postgres
from query_events.conditions import bind, clients, events, filter_words, mailings, receivers
from query_events.keywords import DOMAINS, TERMS, WORDS, build_keywords, fold

SEPARATES: dict[str, Callable[[str], bool]] = {
    WORDS: lambda character: character in " -_",
    DOMAINS: lambda character: character in " -_.",
    TERMS: lambda character: character not in "0123456789abcdefghijklmnopqrstuvwxyz",
}
FILTERS = {"mailings": (mailings, WORDS), "reasons": (events, WORDS), "domains": (receivers, DOMAINS)} | {
    "user agents": (clients, TERMS)
}
# Mostly what could mean something, now and then any character that is assigned.
CHARACTERS = st.sampled_from("aAbB5-_ .%\\'/ÄäSß") | st.characters(
    exclude_categories=("Cs", "Cn"), exclude_characters="\0"
)
TEXTS = st.text(CHARACTERS, max_size=24)


@pytest.fixture(scope="module")
def query(migrated: Postgres) -> Iterator[Connection]:
    """The query function's connection; these tests read no table."""
    connection = psycopg2.connect(migrated.dsn("mailwake_query", "mailwake"))
    connection.autocommit = True
    yield connection
    connection.close()


def list_words(text: str, separator: str) -> list[str]:
    """The words of a text, one character after the other."""
    words = [""]
    for character in text:
        small = character.lower()[0]
        if SEPARATES[separator](small):
            words.append("")
        else:
            words[-1] += small
    return [word for word in words if word]


def has_words(text: str, wanted: str, separator: str) -> bool:
    """Whether the wanted words stand in the text one after the other."""
    words, keyword = list_words(text, separator), list_words(wanted, separator)
    starts = range(len(words) - len(keyword) + 1)
    return bool(keyword) and any(words[start : start + len(keyword)] == keyword for start in starts)


def ask(connection: Connection, table: Table, separator: str, text: str, wanted: list[str]) -> bool:
    """What the filter's own SQL says of a text."""
    term = Cast(bind("text"), "text")  # type: ignore[no-untyped-call]
    sql = str(Query.select(filter_words(table, term, separator).holds("v")).get_sql())
    keywords = {f"v_{part}": value for part, value in build_keywords(wanted, separator)._asdict().items()}
    with connection.cursor() as cursor:
        cursor.execute(sql, {"text": text, **keywords})
        ((found,),) = cursor.fetchall()
    return bool(found)


@pytest.mark.parametrize(("table", "separator"), FILTERS.values(), ids=FILTERS)
@settings(max_examples=150, deadline=None)
@given(
    text=TEXTS, wanted=st.lists(TEXTS, min_size=1, max_size=3), part=st.tuples(st.integers(0, 24), st.integers(0, 24))
)
@example(text="blackfriday", wanted=["friday"], part=(0, 0))
@example(text="a--b_ c", wanted=["B c", "x"], part=(0, 0))
@example(text="\u0130x \u03a3", wanted=["\u0130X", "\u03c3"], part=(0, 0))
def test_keywords_are_whole_words_in_a_row(
    query: Connection, table: Table, separator: str, text: str, wanted: list[str], part: tuple[int, int]
) -> None:
    """A text matches where all words of a keyword stand one after the other; one of the keywords is enough."""
    for keywords in (wanted, [text[part[0] : part[1]]], [*wanted, text]):
        expected = any(has_words(text, keyword, separator) for keyword in keywords)
        assert ask(query, table, separator, text, keywords) == expected


def test_case_is_the_same_everywhere(query: Connection) -> None:
    """Python and Postgres agree on the lower case of every assigned character."""
    characters = "".join(
        character
        for character in map(chr, range(1, sys.maxunicode + 1))
        if unicodedata.category(character) not in ("Cs", "Cn", "Co")
    )
    with query.cursor() as cursor:
        cursor.execute("SELECT fold(%s)", (characters,))
        ((folded,),) = cursor.fetchall()
    assert [pair for pair in zip(characters, folded, strict=True) if fold(pair[0]) != pair[1]] == []
