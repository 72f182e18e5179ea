"""`GET /api/v1/openapi.json`: what the API answers, in OpenAPI 3.1, made from the routes.

Source: https://spec.openapis.org/oas/v3.1.1. tests/stack/test_schemathesis.py holds it against the running stack.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any

from common.json_text import encode_json
from query_events.answers import ALWAYS
from query_events.change_schemas import CHANGES, INPUTS, Change
from query_events.routing import READ_EVENTS, Input, Route

PATH = "/api/v1/openapi.json"
Object = dict[str, Any]

ABOUT = """\
Answers questions about the events of sent mail, in SparkPost's dialects and in its own; and changes cohorts, and who is
told of them.

Each path that has GET answers HEAD as GET, without the body, and each one OPTIONS with 204 and the methods that there
are; OPTIONS needs no key. A slash at the end of a path does not count. Answers of 1,000 bytes and more are compressed
by gzip where Accept-Encoding takes it. Values in lists are separated by commas. An empty parameter counts as not
given."""

SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "The API key as it is."},
    "basic": {"type": "http", "scheme": "basic", "description": "The API key as user, with an empty password."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The API key, or a token where an issuer is set."},
}

ERRORS = {
    "type": "object",
    "description": "The one error body.",
    "required": ["errors"],
    "additionalProperties": False,
    "properties": {
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["message", "description", "code"],
                "additionalProperties": False,
                "properties": {
                    "message": {"type": "string", "minLength": 1},
                    "description": {"type": "string", "description": "What to do; names the parameter."},
                    "code": {"type": "string", "description": "SparkPost's code where it has one, else the status."},
                },
            },
        }
    },
}
GATEWAY = {
    "type": "object",
    "description": "API Gateway's own body.",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}

# An array's items are separated by commas, an object's members are parameters of their own.
EXPLODE = {"array": False, "object": True}

# What every route may answer beside its result; a route adds 400 and 404.
ALWAYS_REFUSED = (401, 403, 429, 500, 503)
CHANGE_REFUSED = (400, 413)  # what changes something takes a body
MEANINGS = {200: "It is so now.", 201: "It is new.", 202: "It is under way."}
REFUSALS = {
    400: "A parameter can't be read, or parameters don't go together; the description names it.",
    401: "No valid API key.",
    403: "The key lacks the scope; the description names it.",
    404: "Nothing is known under this name.",
    409: "What is there is in the way; the description names it.",
    413: "The body is too large.",
    429: "More requests than the API lets through. Wait a second.",
    500: "A mistake of ours, or API Gateway could not ask us.",
    503: "The search took too long, or the database can't be reached; or API Gateway found no function free.",
}
_OURS: Object = {"$ref": "#/components/schemas/Errors"}
OF_GATEWAY: dict[int, Object] = {status: {"anyOf": [_OURS, GATEWAY]} for status in (413, 429, 500, 503)}


def _header(meaning: str, *, required: bool = False, **schema: Any) -> Object:
    return {"description": meaning, "required": required, "schema": {"type": "string", **schema}}


HEADERS = {
    "Cache-Control": _header("The caller may keep it, and asks again.", required=True, const=ALWAYS["cache-control"]),
    "Vary": _header("Which of the request's headers the answer depends on.", required=True),
    "X-Content-Type-Options": _header("The body is what its type says.", required=True, const="nosniff"),
    "Content-Encoding": _header("gzip, where the body is compressed.", const="gzip"),
    "ETag": _header("The content's tag, for If-None-Match.", pattern='^W/"[0-9a-f]+"$'),
    "WWW-Authenticate": _header("How to show a key."),
    "Access-Control-Allow-Origin": _header("The page's origin, where the setting CORS_ORIGINS has it."),
}
ALWAYS_THERE = tuple(name for name, header in HEADERS.items() if header["required"])


def add_document(routes: Sequence[Route]) -> tuple[Route, ...]:
    """The routes, and one that describes them all."""

    @cache
    def encode() -> bytes:
        return encode_json(build_document(described))

    document = Route(
        PATH,
        READ_EVENTS,
        lambda _request: encode(),
        summary="This document",
        result={
            "type": "object",
            "required": ["openapi", "info", "paths"],
            "properties": {"openapi": {"const": "3.1.0"}},
        },
        etag=True,
    )
    described = (*routes, document)
    return described


def build_document(routes: Sequence[Route], changes: Sequence[Change] = CHANGES) -> Object:
    """The OpenAPI document of the routes, and of what changes something."""
    paths: Object = {route.path: {"get": _describe(route)} for route in routes}
    for change in changes:
        paths.setdefault(change.path, {})[change.method.lower()] = _describe_change(change)
    refusals = {_name_refusal(status): _refusal(status) for status in REFUSALS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Mailwake", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {"Errors": ERRORS},
            "headers": {name.replace("-", ""): header for name, header in HEADERS.items()},
            "responses": refusals,
            "securitySchemes": SECURITY,
        },
    }


def _describe(route: Route) -> Object:
    responses: Object = {"200": _response("The result.", route.result, ETag=route.etag)}
    for status, schemas in route.contents.items():
        response = responses.setdefault(str(status), _response(HTTPStatus(status).description, {}))
        response["content"] |= {kind: {"schema": dict(schema)} for kind, schema in schemas.items()}
    if route.etag:
        responses["304"] = {"description": "What If-None-Match named has not changed.", "headers": _headers(ETag=True)}
    for status in sorted({*route.refusals, *ALWAYS_REFUSED}):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name_refusal(status)}"}
    inputs = [_describe_input(item, route.path) for item in route.inputs]
    if route.etag:
        known = {"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}
        inputs.append({**known, "description": "Tags of answers that the client has: 304 if it is one of them."})
    return {
        "operationId": name_operation(route.path),
        "summary": route.summary,
        "description": f"Needs a key with the scope `{route.scope}`.",
        "security": [{name: [route.scope]} for name in SECURITY],
        "parameters": inputs,
        "responses": responses,
    }


def _describe_change(change: Change) -> Object:
    result = {"type": "object", "properties": {"results": change.results}, "required": ["results"]}
    variables = [INPUTS[name] for name in re.findall(r"\{(\w+)\}", change.path)]
    responses: Object = {str(status): _respond_to_change(MEANINGS[status], result) for status in change.statuses}
    for status in sorted({*change.refusals, *CHANGE_REFUSED, *ALWAYS_REFUSED}):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name_refusal(status)}"}
    described = {
        "operationId": name_operation(change.path, change.method.lower()),
        "summary": change.summary,
        "description": f"Needs a key with the scope `{change.scope}`.",
        "security": [{name: [change.scope]} for name in SECURITY],
        "parameters": [_describe_input(item, change.path) for item in (*variables, *change.inputs)],
        "responses": responses,
    }
    if change.body is None:
        return described
    content = {"schema": change.body, "example": change.example}
    required = not {"required", "oneOf"}.isdisjoint({name for name, value in change.body.items() if value})
    return described | {"requestBody": {"required": required, "content": {"application/json": content}}}


def _respond_to_change(meaning: str, schema: Mapping[str, Any]) -> Object:
    return {"description": meaning, "headers": _headers(), "content": {"application/json": {"schema": dict(schema)}}}


def _name_refusal(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def name_operation(path: str, method: str = "get") -> str:
    """`getRecipientsAddress` for /api/v1/recipients/{address}."""
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api/v1/"))
    return method + "".join(word[:1].upper() + word[1:] for word in words)


def _describe_input(item: Input, path: str) -> Object:
    place: Object = {"in": "path", "required": True} if f"{{{item.name}}}" in path else {"in": "query"}
    if item.schema.get("type") == "integer":  # a text may be empty anyway
        place["allowEmptyValue"] = True
    if item.schema.get("type") in EXPLODE:
        place |= {"style": "form", "explode": EXPLODE[item.schema["type"]]}
    return {"name": item.name, **place, "description": item.meaning, "schema": dict(item.schema)}


def _refusal(status: int) -> Object:
    if status in OF_GATEWAY:  # what API Gateway answers by itself has none of our headers
        return {"description": REFUSALS[status], "content": {"application/json": {"schema": OF_GATEWAY[status]}}}
    return _response(REFUSALS[status], _OURS, **{"WWW-Authenticate": status == 401})


def _response(meaning: str, schema: Mapping[str, Any], **extra: bool) -> Object:
    content = {"application/json": {"schema": dict(schema)}}
    return {"description": meaning, "headers": _headers(**{"Content-Encoding": True}, **extra), "content": content}


def _headers(**extra: bool) -> Object:
    names = [*ALWAYS_THERE, "Access-Control-Allow-Origin", *(name for name, there in extra.items() if there)]
    return {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in names}
