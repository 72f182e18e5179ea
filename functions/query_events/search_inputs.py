"""The search's parameters as the OpenAPI document shows them."""

from typing import Any

from query_events.parameters import METADATA, PARAMETERS, Dialect
from query_events.routing import Input

TEXT = {"type": "string"}


def list_search_inputs(dialect: Dialect) -> tuple[Input, ...]:
    """All names that a dialect knows; the forms of filters, and metadata, as members of one object."""
    rows = [row for row in PARAMETERS.values() if dialect in row.dialects and row.name != METADATA]
    inputs = []
    for row in rows:
        schema = {"type": "array", "items": row.form.schema} if row.form.is_list else row.form.schema
        inputs.append(Input(row.name, row.meaning, schema))
        inputs += [Input(alias, f"as {row.name}", schema) for alias in row.aliases]
    names: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        names.setdefault(row.forms, []).extend((row.name, *row.aliases))
    patterns: dict[str, Any] = {rf"^({_join('', *PARAMETERS[METADATA].forms)})metadata\..+$": TEXT}
    for forms, filters in names.items():
        if forms:
            patterns[f"^({_join(*forms)})({_join(*filters)})$"] = TEXT
    schema = {"type": "object", "patternProperties": patterns, "additionalProperties": TEXT}
    meaning = f"filters by {METADATA}; `not.` before a name finds the rest, `prefix.` what begins so; others do nothing"
    return (*inputs, Input("filters", meaning, schema))


def _join(*texts: str) -> str:
    return "|".join(text.replace(".", r"\.") for text in texts)
