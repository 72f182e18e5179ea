import json
import re
from typing import Any

import pytest
from openapi_spec_validator import validate

from change_cohorts.changes import ROUTES as CHANGING
from change_cohorts.previews import MOST_RECIPIENTS
from cohort_evaluator.rehearsal import MOST_DAYS
from cohort_evaluator.suppression_lists import MOST
from common.errors import ApiError
from query_events import change_schemas
from query_events.answers import answer_error
from query_events.change_schemas import CHANGES, INPUTS, Change
from query_events.given import recognise
from query_events.openapi import ALWAYS_REFUSED, CHANGE_REFUSED, ERRORS, PATH, REFUSALS, build_document, name_operation
from query_events.parameters import PARAMETERS, Dialect
from query_events.routes import ROUTES
from query_events.routing import Route
from query_events.search_inputs import list_search_inputs
from tests.declared import check_body

DOCUMENT: Any = build_document(ROUTES)


def test_document_is_valid() -> None:
    """The document is OpenAPI 3.1 by its own schema."""
    validate(DOCUMENT)


def test_document_has_every_route() -> None:
    """Each route is in it, this one too."""
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    read = {(route.path, "get") for route in ROUTES}
    assert described == read | {(change.path, change.method.lower()) for change in CHANGES}
    assert PATH in DOCUMENT["paths"]


def test_document_has_all_that_changes_something() -> None:
    """Each route of the function that does: a new one needs a row in change_schemas.py; its variables are known."""
    assert {change.key for change in CHANGES} == set(CHANGING)
    assert {name for change in CHANGES for name in re.findall(r"\{(\w+)\}", change.path)} <= set(INPUTS)


def test_limits_are_those_of_the_function() -> None:
    """What is declared to be taken is taken."""
    assert change_schemas.MOST_DAYS == MOST_DAYS
    assert change_schemas.MOST_ENTRIES == MOST
    assert change_schemas.MOST_RECIPIENTS == MOST_RECIPIENTS


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.key)
def test_example_is_one(change: Change) -> None:
    """What is shown as a body fits its schema."""
    assert (change.body is None) == (change.example is None)
    if change.body is not None:
        check_body(change.body, change.example)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_describes_itself(route: Route) -> None:
    """A route says what it is for, what it takes and what it answers."""
    assert route.summary
    assert not route.summary.endswith(".")
    assert route.result.get("type") in ("object", "array")
    assert set(route.refusals) <= {400, 404}
    names = [item.name for item in route.inputs]
    assert len(set(names)) == len(names)
    assert set(re.findall(r"\{(\w+)\}", route.path)) <= set(names)
    for item in route.inputs:
        assert item.meaning, item.name
        assert item.schema.get("type"), item.name
    if names:
        assert route.refusals, "what takes input can refuse it"


def test_operations_have_names_of_their_own() -> None:
    """Generated clients name their functions by them."""
    names = [one["operationId"] for operations in DOCUMENT["paths"].values() for one in operations.values()]
    assert len(set(names)) == len(names)
    assert name_operation("/api/v1/recipients/{address}") == "getRecipientsAddress"
    assert name_operation("/api/v1/message-events/events/samples") == "getMessageEventsEventsSamples"


def test_every_operation_needs_a_key() -> None:
    """Each way to send the key is named, and the scope that it must have."""
    for route in ROUTES:
        security = DOCUMENT["paths"][route.path]["get"]["security"]
        assert security == [{name: [route.scope]} for name in DOCUMENT["components"]["securitySchemes"]]


def test_every_refusal_is_declared() -> None:
    """Beside what a route adds, each may answer what concerns all; a tagged one 304 too."""
    for route in ROUTES:
        declared = {int(status) for status in DOCUMENT["paths"][route.path]["get"]["responses"]}
        assert declared == {200, *route.contents, *ALWAYS_REFUSED, *route.refusals, *([304] if route.etag else [])}
    for change in CHANGES:
        declared = {int(status) for status in DOCUMENT["paths"][change.path][change.method.lower()]["responses"]}
        assert declared == {*change.statuses, *change.refusals, *CHANGE_REFUSED, *ALWAYS_REFUSED}
    assert set(REFUSALS) == {400, 404, 409, *CHANGE_REFUSED, *ALWAYS_REFUSED}


def test_error_body_is_as_declared() -> None:
    """The one error body fits its schema."""
    check_body(ERRORS, json.loads(answer_error(ApiError(400, "Invalid", "x", "1200")).body))


@pytest.mark.parametrize("dialect", Dialect)
def test_every_spelling_of_a_parameter_is_declared(dialect: Dialect) -> None:
    """What the dialect knows is in the document: names, aliases, forms of filters and metadata; and nothing else."""
    inputs = {item.name: item.schema for item in list_search_inputs(dialect)}
    patterns = inputs.pop("filters")["patternProperties"]
    for row in PARAMETERS.values():
        names = [name.replace("<key>", "plan") for name in (row.name, *row.aliases)]
        plain = names if row.name == "metadata.<key>" else []
        for name in [*plain, *(form + name for form in row.forms for name in names)]:
            assert any(re.search(pattern, name) for pattern in patterns) is (dialect in row.dialects), name
        if not plain:
            assert {*names} & {*inputs} == ({*names} if dialect in row.dialects else set())
    assert all(recognise(name) for name in inputs)


@pytest.mark.parametrize(
    "name", ["not.per_page", "prefix.events", "metadata.", "not.not.tags", "notxtags", "xtags", "tags"]
)
def test_impossible_forms_are_not_declared(name: str) -> None:
    """The patterns of forms let nothing else in."""
    (schema,) = (item.schema for item in list_search_inputs(Dialect.EVENTS) if item.name == "filters")
    assert not any(re.search(pattern, name) for pattern in schema["patternProperties"])
