"""What a filter asks of a row, in SQL. Values are always bound, under a name that the search chooses.

A filter names the table that it looks at: `events` itself, or one with what events share, whose rows are found first or
looked up for each event (search.py).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from pypika import Case, CustomFunction, Table
from pypika import Parameter as Bound
from pypika import PostgreSQLQuery as Query
from pypika.enums import Comparator
from pypika.functions import Cast
from pypika.terms import BasicCriterion, Criterion, Term, ValueWrapper

from query_events.keywords import WORDS
from query_events.sparkpost_types import BOUNCE_CLASSES, SPARKPOST
from query_events.sparkpost_types import WORDS as TYPES

events = Table("events")
kinds = Table("kinds")
senders = Table("senders")
mailings = Table("mailings")
receivers = Table("receivers")
clients = Table("clients")

any_of = CustomFunction("ANY", ["array"])
all_of = CustomFunction("ALL", ["array"])
array_of = CustomFunction("ARRAY", ["query"])
unnest = CustomFunction("unnest", ["array"])
coalesce = CustomFunction("COALESCE", ["value", "default"])
# Functions of the database: sql/migrations.
fold = CustomFunction("fold", ["value"])
space_words = CustomFunction("space_words", ["value", "separator"])
split_words = CustomFunction("split_words", ["value"])
find_sending_domain = CustomFunction("find_sending_domain", ["address", "shared"])
begins_one = CustomFunction("begins_one", ["texts", "patterns"])

Condition = Callable[[str], Criterion]  # from the name of the bound value


class Operator(Comparator):
    """What pypika has no word for."""

    LIKE = " LIKE "
    # As `fold` compares, on the column itself: the planner has statistics of that, and none of what `fold` makes of it.
    LIKE_IN_ANY_CASE = ' COLLATE "pg_c_utf8" ILIKE '
    OVERLAPS = " && "
    CONTAINS = " @> "
    # In the order of bytes, which an index of patterns has whatever the database's collation.
    FROM = " ~>=~ "
    BEFORE = " ~<~ "


class Filter(NamedTuple):
    """What a row must have."""

    table: Table
    holds: Condition  # for one of the values
    begins: Condition | None = None  # where the value's text begins like one of the patterns
    ordered: bool = False  # what `begins` binds are the parts of `Beginnings`, for an index


def bind(name: str) -> Term:
    """The place of a bound value."""
    return Bound(f"%({name})s")


def compare(left: Term, operator: Operator, right: Term) -> Criterion:
    """A comparison."""
    return BasicCriterion(operator, left, right)


def is_any(term: Term) -> Condition:
    """It is one of the bound list's values."""
    return lambda name: term == any_of(bind(name))


def is_like_any(term: Term) -> Condition:
    """It is like one of the bound patterns, in any case."""
    return lambda name: compare(fold(term), Operator.LIKE, any_of(bind(name)))


def contains_any(term: Term) -> Condition:
    """The same of a column that no index of its beginnings is for."""
    return lambda name: compare(term, Operator.LIKE_IN_ANY_CASE, any_of(bind(name)))


def filter_text(table: Table, column: str) -> Filter:
    """A text that is one of the values."""
    return Filter(table, is_any(table.field(column)), is_like_any(table.field(column)))


def filter_recipients() -> Filter:
    """An address, which is kept in lower case."""
    address = events.recipient

    def begins(name: str) -> Criterion:
        within = compare(address, Operator.FROM, bind(f"{name}_first"))
        within &= compare(address, Operator.BEFORE, bind(f"{name}_last"))
        # The range says how many there are; the planner would take both conditions together for a rare coincidence.
        like = compare(address, Operator.LIKE, any_of(bind(f"{name}_patterns")))
        return within & cast("Criterion", Case().when(like, True).else_(False))  # noqa: FBT003 (SQL's true)

    return Filter(events, is_any(address), begins, ordered=True)


def filter_folded(table: Table, term: Term) -> Filter:
    """A text that is one of the values in any case."""
    return Filter(table, is_any(fold(term)), is_like_any(term))


def filter_plain(table: Table, term: Term) -> Filter:
    """A number or one of our own words: nothing that begins like another."""
    return Filter(table, is_any(term))


def filter_words(table: Table, term: Term, separator: str = WORDS) -> Filter:
    """A text that has the bound words; `name_patterns`, `name_rarest` and `name_common` are the parts of `Keywords`."""

    def holds(name: str) -> Criterion:
        matches = compare(space_words(term, separator), Operator.LIKE, any_of(bind(f"{name}_patterns")))
        if table is not mailings:
            return matches
        words = split_words(term)
        one = compare(words, Operator.OVERLAPS, bind(f"{name}_rarest"))
        common = Cast(bind(f"{name}_common"), "text[]")  # type: ignore[no-untyped-call]
        return one & compare(words, Operator.CONTAINS, common) & matches

    return Filter(table, holds, is_like_any(term))


def filter_subaccounts() -> Filter:
    """A subaccount; `0` is the primary account, which some events name and others don't."""
    column, primary = senders.subaccount, ValueWrapper("0")
    return Filter(senders, lambda name: is_any(column)(name) | (column.isnull() & is_any(primary)(name)))


def filter_tags() -> Filter:
    """A list that has one of the values."""
    return Filter(
        mailings,
        lambda name: compare(mailings.tags, Operator.OVERLAPS, bind(name)),
        lambda name: begins_one(mailings.tags, bind(name)) == ValueWrapper(True),  # noqa: FBT003 (SQL's true)
    )


def filter_event_ids() -> Filter:
    """One of the keys that belong to a provider that has sent any; `name_providers` and `name_keys` are bound."""

    def holds(name: str) -> Criterion:
        providers, keys = (
            cast("Term", Cast(bind(f"{name}_{part}"), f"{of}[]"))  # type: ignore[no-untyped-call]
            for part, of in (("providers", "text"), ("keys", "bigint"))
        )
        given = Query.select(unnest(providers).as_("provider"), unnest(keys).as_("event_key")).as_("given")
        known = Query.from_(kinds).select(kinds.provider)
        return events.event_key == any_of(
            array_of(Query.from_(given).select(given.event_key).where(given.provider.isin(known)))
        )

    return Filter(events, holds)


def filter_metadata() -> Filter:
    """A value under a key of the sender's metadata, as text; `name_key` and `name_values` are bound."""

    def take(name: str) -> Any:
        return events.metadata.get_text_value(bind(f"{name}_key"))  # type: ignore[arg-type]

    return Filter(
        events,
        lambda name: take(name) == any_of(bind(f"{name}_values")),
        lambda name: compare(fold(take(name)), Operator.LIKE, any_of(bind(f"{name}_values"))),
    )


def filter_types() -> Filter:
    """The type that the result shows, or the provider's own."""
    shown = Case().when(kinds.provider == SPARKPOST, kinds.provider_type)
    for word in TYPES:
        is_word = kinds.event_type == word.event_type
        shown = shown.when(is_word & kinds.field(word.attribute) if word.attribute else is_word, word.sparkpost_type)
    shown = shown.else_(kinds.event_type)
    return Filter(kinds, lambda name: is_any(shown)(name) | is_any(kinds.provider_type)(name))


def filter_bounce_classes() -> Filter:
    """The number that the result shows."""
    guessed = Case()
    for bounce_kind, number in BOUNCE_CLASSES.items():
        guessed = guessed.when((kinds.provider != SPARKPOST) & (kinds.bounce_kind == bounce_kind), number)
    return filter_plain(kinds, coalesce(kinds.bounce_class, guessed))
