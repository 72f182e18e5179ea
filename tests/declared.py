"""Holds answers against the OpenAPI document."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator

from common.errors import ApiError
from query_events.openapi import build_document
from query_events.routes import ROUTES, TABLE


@cache
def _document() -> Any:
    return build_document(ROUTES)


def check_body(schema: Mapping[str, Any], value: Any) -> None:
    """Fails unless a value fits a schema of the document's."""
    Draft202012Validator({"components": _document()["components"], **schema}).validate(value)


def check_answer(method: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Fails unless the API may answer this: status, headers (names in lower case), and body, unpacked. 405 and what no
    route answers are no operation's; there only the error body counts.
    """
    if method not in ("GET", "HEAD"):
        return
    try:
        route, _ = TABLE.find(method, unquote(target.partition("?")[0]))
    except ApiError:
        declared: Any = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Errors"}}}}
    else:
        responses = _document()["paths"][route.path]["get"]["responses"]
        assert str(status) in responses, f"{route.path} does not declare {status}"
        declared = _resolve(responses[str(status)])
    for name, header in declared.get("headers", {}).items():
        found = headers.get(name.lower())
        resolved = _resolve(header)
        assert found is not None or not resolved["required"], f"{name} is missing"
        if found is not None:
            check_body(resolved["schema"], found)
    if method == "GET" and "content" in declared:
        kind = headers["content-type"].partition(";")[0]
        value = json.loads(body) if kind == "application/json" else body.decode()
        check_body(declared["content"][kind]["schema"], value)


def _resolve(item: Any) -> Any:
    if "$ref" not in item:
        return item
    found: Any = _document()
    for step in item["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found
