"""What the project's own template declares, as the local stack reads it."""

from pathlib import Path
from typing import Any

import pytest

from local.declared import (
    read_custom_resources,
    read_functions,
    read_queue_consumers,
    read_routes,
    read_schedules,
)
from local.state import PROJECT
from local.template import Template, TemplateError, load_template

SAMPLE = """
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth: { DefaultAuthorizer: Keys, Authorizers: { Keys: { FunctionArn: !GetAtt Guard.Arn, %s } } }
  Guard: { Type: AWS::Serverless::Function, Properties: { Handler: guard.handler } }
  Open:
    Type: AWS::Serverless::Function
    Properties:
      Handler: open.handler
      Events:
        One: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: get, Path: /one } }
        Two:
          Type: HttpApi
          Properties: { ApiId: !Ref Api, Path: /two, Auth: { Authorizer: NONE }, TimeoutInMillis: 5000 }
        Off: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn, Enabled: false } }
        Late: { Type: Schedule, Properties: { Schedule: rate(1 day), Enabled: false } }
        Soon: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(1 hour), Input: "{}" } }
"""


def look_up(logical_id: str, attribute: str | None) -> Any:
    """Made-up names."""
    return logical_id if attribute is None else f"{logical_id}.{attribute}"


@pytest.fixture(scope="module")
def template() -> Template:
    """template.yaml."""
    return load_template(PROJECT / "template.yaml")


def load_sample(tmp_path: Path, authorizer: str) -> Template:
    """The sample of this module."""
    (tmp_path / "template.yaml").write_text(SAMPLE % authorizer)
    return load_template(tmp_path / "template.yaml")


def test_functions(template: Template) -> None:
    """Each function has its handler, limits and place, with what Globals say."""
    functions = read_functions(template, look_up)
    loader = functions["S3Loader"]
    assert loader.handler == "s3_loader.app.handler"
    assert loader.inside_vpc
    assert loader.environment["DATABASE_USER"] == "mailwake_loader"
    assert loader.environment["DATABASE_HOST"] == "Database.Endpoint.Address"
    assert loader.layers[0] == PROJECT / "layers" / "postgres"
    assert not functions["WebhookListener"].inside_vpc
    assert functions["WebhookListener"].environment["RAW_BUCKET"] == "RawBucket"


def test_routes(template: Template) -> None:
    """Webhooks are open (the listener checks them), the API is behind the authorizer."""
    routes = {route.key: (route.function, route.authorizer) for route in read_routes(template, look_up)}
    assert routes["ANY /webhooks/{provider}"] == ("WebhookListener", None)
    assert routes["ANY /webhooks/{provider}/{secret}"] == ("WebhookListener", None)
    assert routes["ANY /api/{proxy+}"] == ("QueryEvents", "Authorizer")


def test_consumer(template: Template) -> None:
    """Loader and export take their queues' messages and report single failures."""
    consumers = read_queue_consumers(template, look_up)
    assert [(one.function, one.queue_arn) for one in consumers] == [
        ("S3Loader", "LoadQueue.Arn"),
        ("Mailer", "MailQueue.Arn"),
        ("ExportEvents", "ExportQueue.Arn"),
    ]
    assert all(one.reports_item_failures and one.maximum_concurrency is not None for one in consumers)


def test_schedules(template: Template) -> None:
    """Partitions are maintained, hours summarised and cohorts evaluated by the clock."""
    assert sorted((one.function, one.expression) for one in read_schedules(template, look_up)) == [
        ("CohortEvaluator", "rate(1 minute)"),
        ("MaintainPartitions", "rate(1 day)"),
        ("SummariseHours", "rate(15 minutes)"),
    ]


def test_custom_resource(template: Template) -> None:
    """The schema is made by a function of ours."""
    (resource,) = read_custom_resources(template, look_up)
    assert (resource.logical_id, resource.function) == ("Schema", "StartMigration")


def test_sample_routes_and_events(tmp_path: Path) -> None:
    """Default authorizers, open routes, timeouts, disabled events and both kinds of schedules are read."""
    sample = load_sample(tmp_path, 'AuthorizerPayloadFormatVersion: "2.0", EnableSimpleResponses: true')
    routes = {route.key: route for route in read_routes(sample, look_up)}
    assert routes["GET /one"].authorizer == "Guard"
    assert routes["ANY /two"].authorizer is None
    assert routes["ANY /two"].timeout == 5
    assert read_queue_consumers(sample, look_up) == []
    assert [(one.expression, one.input) for one in read_schedules(sample, look_up)] == [("rate(1 hour)", "{}")]
    assert read_functions(sample, look_up)["Open"].timeout == 3


def test_other_authorizers_are_refused(tmp_path: Path) -> None:
    """An authorizer in a format that the gateway does not speak is an error."""
    with pytest.raises(TemplateError, match=r"payload 2\.0"):
        read_routes(load_sample(tmp_path, 'AuthorizerPayloadFormatVersion: "1.0"'), look_up)
