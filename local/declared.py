"""What a template declares, as plain values: functions, routes, queue consumers, schedules and custom resources.

Everything here is read from the template; a default is used only where SAM or Lambda has the same one.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.template import ResourceLookup, Template, TemplateError

FUNCTION = "AWS::Serverless::Function"
HTTP_API = "AWS::Serverless::HttpApi"
LAYER = "AWS::Serverless::LayerVersion"

# Lambda's own defaults, for what a template leaves out.
DEFAULT_TIMEOUT_S = 3
DEFAULT_MEMORY_MB = 128
DEFAULT_SQS_BATCH_SIZE = 10


@dataclass(frozen=True, kw_only=True)
class Function:
    """One Lambda function."""

    logical_id: str
    name: str  # physical name, as another function would invoke it
    handler: str  # "package.module.function"
    code: Path  # folder of its code: the work tree's or sam build's
    layers: tuple[Path, ...]  # folders of its layers, first one first on the path
    environment: Mapping[str, str]
    timeout: float  # seconds
    memory: int  # MB
    inside_vpc: bool
    log_format: str  # "JSON" or "Text"
    log_level: str | None  # application log level, None: the runtime's default
    reserved_concurrency: int | None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route of an HTTP API."""

    method: str  # upper case, or "ANY"
    path: str  # "/webhooks/{provider}", "/api/{proxy+}", or "$default"
    function: str  # logical id
    authorizer: str | None  # logical id of the authorizer's function
    timeout: float  # seconds

    @property
    def key(self) -> str:
        """The route key, as API Gateway names it in events."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


@dataclass(frozen=True, kw_only=True)
class QueueConsumer:
    """An event source mapping: who is invoked with which queue's messages."""

    function: str  # logical id
    queue_arn: str
    batch_size: int
    window: float  # seconds to wait for a batch to fill
    maximum_concurrency: int | None
    reports_item_failures: bool


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An invocation by the clock."""

    function: str  # logical id
    expression: str  # "rate(1 day)" or "cron(0 3 * * ? *)"
    input: str | None  # JSON text given to the function instead of a scheduled event


@dataclass(frozen=True, kw_only=True)
class CustomResource:
    """A resource that a function of ours creates while CloudFormation deploys."""

    logical_id: str
    resource_type: str
    function: str  # logical id
    properties: Mapping[str, Any]


def read_functions(template: Template, lookup: ResourceLookup) -> dict[str, Function]:
    """All functions by logical id."""
    return {logical_id: _read_function(template, logical_id, lookup) for logical_id in template.of_type(FUNCTION)}


def _read_function(template: Template, logical_id: str, lookup: ResourceLookup) -> Function:
    properties = template.properties(logical_id)

    def get(name: str, default: Any = None) -> Any:
        return template.resolve(properties[name], lookup) if name in properties else default

    variables = (get("Environment") or {}).get("Variables") or {}
    logging = get("LoggingConfig") or {}
    reserved = get("ReservedConcurrentExecutions")
    return Function(
        logical_id=logical_id,
        name=str(lookup(logical_id, None)),
        handler=str(get("Handler")),
        code=(template.path.parent / str(get("CodeUri", "."))).resolve(),
        layers=tuple(_layer_folders(template, properties.get("Layers") or [], lookup)),
        environment={name: _environment_text(value) for name, value in variables.items()},
        timeout=float(get("Timeout", DEFAULT_TIMEOUT_S)),
        memory=int(get("MemorySize", DEFAULT_MEMORY_MB)),
        inside_vpc=bool(get("VpcConfig")),
        log_format=str(logging.get("LogFormat", "Text")),
        log_level=logging.get("ApplicationLogLevel"),
        reserved_concurrency=None if reserved is None else int(reserved),
    )


def _environment_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _layer_folders(template: Template, layers: list[Any], lookup: ResourceLookup) -> Iterator[Path]:
    """The folders of the template's own layers; others (by ARN) exist only in AWS."""
    for layer in layers:
        logical_id = layer.get("Ref") if isinstance(layer, dict) else None
        if logical_id in template.resources and template.resources[logical_id]["Type"] == LAYER:
            content = template.resolve(template.properties(logical_id).get("ContentUri", "."), lookup)
            yield (template.path.parent / str(content)).resolve()


def read_routes(template: Template, lookup: ResourceLookup) -> list[Route]:
    """All routes of HTTP API events, of every function."""
    routes = []
    for function, event in _events(template, "HttpApi"):
        properties = event.get("Properties") or {}
        path = str(properties.get("Path", "$default"))
        routes.append(
            Route(
                method=str(properties.get("Method", "ANY")).upper().replace("X-AMAZON-APIGATEWAY-ANY-METHOD", "ANY"),
                path=path,
                function=function,
                authorizer=_read_authorizer(template, properties, lookup),
                timeout=float(template.resolve(properties.get("TimeoutInMillis", 30_000), lookup)) / 1000,
            )
        )
    return routes


def _read_authorizer(template: Template, event: dict[str, Any], lookup: ResourceLookup) -> str | None:
    """The function that authorizes a route: the event's own authorizer, else the API's default."""
    api = event.get("ApiId")
    api_id = api.get("Ref") if isinstance(api, dict) else api
    if api_id is None or api_id not in template.resources:
        return None
    auth = template.properties(api_id).get("Auth") or {}
    name = (event.get("Auth") or {}).get("Authorizer", auth.get("DefaultAuthorizer"))
    if name in (None, "NONE"):
        return None
    authorizer = (auth.get("Authorizers") or {}).get(name)
    if authorizer is None or "FunctionArn" not in authorizer:
        raise TemplateError(f"{api_id} has no Lambda authorizer {name}")
    if str(authorizer.get("AuthorizerPayloadFormatVersion")) != "2.0" or not authorizer.get("EnableSimpleResponses"):
        raise TemplateError(f"authorizer {name}: the local gateway speaks payload 2.0 with simple responses only")
    return _function_of_arn(template, authorizer["FunctionArn"], lookup)


def _function_of_arn(template: Template, arn: Any, lookup: ResourceLookup) -> str:
    resolved = template.resolve(arn, lookup)
    for logical_id in template.of_type(FUNCTION):
        if lookup(logical_id, "Arn") == resolved:
            return logical_id
    raise TemplateError(f"no function of the template has the ARN {resolved}")


def read_queue_consumers(template: Template, lookup: ResourceLookup) -> list[QueueConsumer]:
    """All SQS events that are enabled."""
    consumers = []
    for function, event in _events(template, "SQS"):
        properties = template.resolve(event["Properties"], lookup)
        if not properties.get("Enabled", True):
            continue
        limit = (properties.get("ScalingConfig") or {}).get("MaximumConcurrency")
        consumers.append(
            QueueConsumer(
                function=function,
                queue_arn=str(properties["Queue"]),
                batch_size=int(properties.get("BatchSize", DEFAULT_SQS_BATCH_SIZE)),
                window=float(properties.get("MaximumBatchingWindowInSeconds", 0)),
                maximum_concurrency=None if limit is None else int(limit),
                reports_item_failures="ReportBatchItemFailures" in (properties.get("FunctionResponseTypes") or []),
            )
        )
    return consumers


def read_schedules(template: Template, lookup: ResourceLookup) -> list[Schedule]:
    """All schedules that are enabled, of both kinds that SAM has."""
    schedules = []
    for function, event in [*_events(template, "Schedule"), *_events(template, "ScheduleV2")]:
        properties = template.resolve(event["Properties"], lookup)
        if properties.get("Enabled", True) is False or properties.get("State") == "DISABLED":
            continue
        expression = properties.get("Schedule") or properties["ScheduleExpression"]
        schedules.append(Schedule(function=function, expression=str(expression), input=properties.get("Input")))
    return schedules


def read_custom_resources(template: Template, lookup: ResourceLookup) -> list[CustomResource]:
    """All custom resources, in the template's order."""
    found = []
    for logical_id in template.of_type("Custom::*", "AWS::CloudFormation::CustomResource"):
        properties = template.properties(logical_id)
        found.append(
            CustomResource(
                logical_id=logical_id,
                resource_type=template.resources[logical_id]["Type"],
                function=_function_of_arn(template, properties["ServiceToken"], lookup),
                properties=template.resolve(properties, lookup),
            )
        )
    return found


def _events(template: Template, event_type: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for logical_id in template.of_type(FUNCTION):
        for event in (template.properties(logical_id).get("Events") or {}).values():
            if event["Type"] == event_type:
                yield logical_id, event


_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")


def read_rate(expression: str) -> timedelta | None:
    """The interval of a `rate(…)` expression; None when it is of another kind."""
    match = _RATE.fullmatch(expression.strip())
    return timedelta(**{f"{match[2]}s": int(match[1])}) if match else None
