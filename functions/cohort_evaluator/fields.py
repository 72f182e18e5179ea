"""The fields of events in SQL, and the tests of their values."""

import json
from decimal import Decimal
from typing import Final, NamedTuple

from pypika import Table
from pypika.terms import Criterion, Term

from cohort_evaluator.conditions import MAIL, Field, Pattern, Test
from cohort_evaluator.terms import (
    FALSE,
    Binder,
    Cast,
    Truth,
    any_of,
    as_text,
    at_path,
    cardinality,
    fold,
    has,
    length,
    right,
    starts_with,
    strpos,
    to_json,
    type_of,
    when,
)

TEXT: Final = "text"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
TEXTS: Final = "texts"
JSON: Final = "json"

kinds = Table("kinds")
mailings = Table("mailings")
senders = Table("senders")
receivers = Table("receivers")
clients = Table("clients")
operations = Table("operations")
agents = Table("agents")
companies = Table("identities", alias="companies")


class Value(NamedTuple):
    """A value in SQL."""

    term: Term
    form: str  # TEXT, NUMBER, BOOLEAN, TEXTS or JSON
    table: Table | None = None  # that has it; None for the event itself


def find_value(kind: str, field: Field, event: Table, binder: Binder) -> Value:
    """The value of a field of an event of a kind; `event` has the columns that sources.py tells."""
    if field.path:
        column = event.metadata if kind == MAIL else event.properties
        return Value(at_path(column, [binder.bind(name, "text") for name in field.path]), JSON)
    if kind == MAIL:
        return _find_of_mail(field.name, event)
    return _find_of_activity(field.name, event)


def _find_of_mail(name: str, event: Table) -> Value:
    if name == "type":
        return Value(kinds.event_type, TEXT, kinds)
    if name in ("provider", "provider_type", "bounce_kind"):
        return Value(kinds.field(name), TEXT, kinds)
    if name in ("out_of_band", "machine_open", "first_open"):
        return Value(kinds.field(name), BOOLEAN, kinds)
    if name in ("campaign", "template", "subject"):
        return Value(mailings.field(name), TEXT, mailings)
    if name == "tags":
        return Value(mailings.tags, TEXTS, mailings)
    if name == "from_address":
        return Value(senders.address, TEXT, senders)
    if name == "subaccount":
        return Value(senders.subaccount, TEXT, senders)
    if name == "recipient_domain":
        return Value(receivers.domain, TEXT, receivers)
    if name == "user_agent":
        return Value(clients.user_agent, TEXT, clients)
    return Value(event.field(name), TEXT)


def _find_of_activity(name: str, event: Table) -> Value:
    if name == "duration":
        return Value(event.duration, NUMBER)
    if name == "user_agent":
        return Value(agents.user_agent, TEXT, agents)
    if name == "company":
        return Value(companies.value, TEXT, companies)
    return Value(operations.field(name), NUMBER if name == "status" else TEXT, operations)


def list_tables(kind: str, values: list[Value]) -> list[tuple[Table, bool]]:
    """The tables to join to events of a kind, and whether each event has a row there, in an order that works."""
    wanted = {id(value.table): value.table for value in values if value.table is not None}
    tables = list(wanted.values())
    joined: list[tuple[Table, bool]] = [(kinds, True) if kind == MAIL else (operations, True)]
    if mailings in tables or senders in tables:
        joined.append((mailings, True))
    joined += [(table, True) for table in (senders, receivers) if table in tables]
    joined += [(table, False) for table in (clients, agents, companies) if table in tables]
    return joined


def join_on(table: Table, event: Table) -> Criterion:
    """How a table is joined."""
    if table is senders:
        return senders.sender_key == mailings.sender_key
    if table is companies:
        return companies.identity_id == event.company_id
    column = {
        kinds: "kind_key",
        mailings: "mailing_key",
        receivers: "receiver_key",
        clients: "client_key",
        operations: "operation_id",
        agents: "agent_id",
    }[table]
    return table.field(column) == event.field(column)


def list_values(pattern: Pattern, event: Table, binder: Binder) -> list[tuple[Value, Test]]:
    """The values that a pattern tests."""
    return [(find_value(pattern.kind, field, event, binder), test) for field, test in pattern.where]


def check(value: Value, test: Test, binder: Binder) -> Criterion:
    """Whether a value passes a test."""
    return Truth(_CHECKS[value.form](value.term, test.operator, test.value, binder))


def _check_text(term: Term, operator: str, wanted: object, binder: Binder) -> Term:
    if operator == "exists":
        return term.notnull() if wanted else term.isnull()
    if operator == "is_one_of":
        return term == any_of(binder.bind([each for each in _list(wanted) if type(each) is str], "text[]"))
    if type(wanted) is not str:
        return FALSE
    place = binder.bind(wanted, "text")
    if operator == "is":
        return term == place
    if operator == "contains":
        return strpos(term, place) > 0
    if operator == "contains_ignoring_case":
        return strpos(fold(term), fold(place)) > 0
    if operator == "starts_with":
        return starts_with(term, place)
    if operator == "ends_with":
        return right(term, length(place)) == place
    return FALSE


def _check_number(term: Term, operator: str, wanted: object, binder: Binder) -> Term:
    if operator == "exists":
        return term.notnull() if wanted else term.isnull()
    if operator == "is_one_of":
        numbers = [Decimal(str(each)) for each in _list(wanted) if _is_number(each)]
        return term == any_of(binder.bind(numbers, "numeric[]"))
    if not _is_number(wanted):
        return FALSE
    place = binder.bind(Decimal(str(wanted)), "numeric")
    if operator == "is":
        return term == place
    if operator == "at_least":
        return term >= place
    if operator == "more_than":
        return term > place
    if operator == "at_most":
        return term <= place
    if operator == "less_than":
        return term < place
    return FALSE


def _check_boolean(term: Term, operator: str, wanted: object, binder: Binder) -> Term:
    if operator == "exists":
        return term.notnull() if wanted else term.isnull()
    wanted_ones = [each for each in _list(wanted) if type(each) is bool]
    return term == any_of(binder.bind(wanted_ones, "boolean[]")) if operator in ("is", "is_one_of") else FALSE


def _check_texts(term: Term, operator: str, wanted: object, binder: Binder) -> Term:
    if operator == "exists":
        return cardinality(term) > 0 if wanted else cardinality(term) == 0
    if operator == "includes" and type(wanted) is str:
        return binder.bind(wanted, "text") == any_of(term)
    return FALSE


def _check_json(term: Term, operator: str, wanted: object, binder: Binder) -> Term:
    """JSON objects and null are no values."""
    if operator == "exists":
        there = type_of(term).isin(["string", "number", "boolean", "array"])
        return when(there, Cast(binder.bind(bool(wanted)), "boolean"), Cast(binder.bind(not wanted), "boolean"))
    if operator in ("is", "is_one_of"):
        return term == any_of(binder.bind([json.dumps(each) for each in _list(wanted)], "jsonb[]"))
    if operator == "includes":
        return when(type_of(term) == "array", has(term, binder.bind(json.dumps(wanted), "jsonb")), FALSE)
    if operator in ("at_least", "more_than", "at_most", "less_than"):
        compared = _check_number(Cast(as_text(term), "numeric"), operator, wanted, binder)
        return when(type_of(term) == "number", compared, FALSE)
    return when(type_of(term) == "string", _check_text(as_text(term), operator, wanted, binder), FALSE)


_CHECKS: Final = {
    TEXT: _check_text,
    NUMBER: _check_number,
    BOOLEAN: _check_boolean,
    TEXTS: _check_texts,
    JSON: _check_json,
}


def find_scalar(value: Value) -> Term:
    """A value as a JSON scalar, to tell different ones; null where there is none."""
    if value.form == JSON:
        return when(type_of(value.term).isin(["string", "number", "boolean"]), value.term)
    return to_json(value.term)


def find_number(value: Value) -> Term:
    """A value as a number; null where it is none."""
    if value.form == JSON:
        return when(type_of(value.term) == "number", Cast(as_text(value.term), "numeric"))
    return Cast(value.term, "numeric")


def _list(wanted: object) -> list[object]:
    return wanted if isinstance(wanted, list) else [wanted]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
