"""Reading template.yaml as CloudFormation and SAM do."""

from pathlib import Path
from typing import Any

import pytest

from local.template import Template, TemplateError, load_template

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Stage: { Type: String, Default: dev }
  Days: { Type: Number, Default: 0 }
  Zones: { Type: CommaDelimitedList, Default: "a, b" }
Mappings:
  Sizes: { dev: { memory: 128 }, prod: { memory: 1024 } }
Conditions:
  IsKept: !And [!Condition IsProd, !Not [!Equals [!Ref Days, "0"]]]
  IsProd: !Equals [!Ref Stage, prod]
  IsAny: !Or [!Condition IsProd, !Equals [!Ref Stage, dev]]
Globals:
  Function:
    Timeout: 30
    Environment: { Variables: { LEVEL: INFO } }
    Layers: [common]
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { VisibilityTimeout: 360, Name: !If [IsProd, big, !Ref AWS::NoValue] }
  Only:
    Type: AWS::SQS::Queue
    Condition: IsProd
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Environment: { Variables: { QUEUE: !Ref Queue } }
      Layers: [own]
      Timeout: 5
"""


def look_up(logical_id: str, attribute: str | None) -> Any:
    """Names that tell what was asked for."""
    return f"<{logical_id}>" if attribute is None else f"<{logical_id}.{attribute}>"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Loads the template of this module."""

    def load_it(**options: Any) -> Template:
        path = tmp_path / "template.yaml"
        path.write_text(TEMPLATE)
        return load_template(path, **options)

    return load_it


@pytest.mark.parametrize(
    ("written", "resolved"),
    [
        ({"Ref": "Queue"}, "<Queue>"),
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "<Queue.Arn>"),
        ({"Fn::GetAtt": "Database.Endpoint.Port"}, "<Database.Endpoint.Port>"),
        ({"Fn::Sub": "${Stage}-${Queue.Arn}/*-${!Literal}"}, "dev-<Queue.Arn>/*-${Literal}"),
        ({"Fn::Sub": ["${a}${Stage}", {"a": {"Ref": "Queue"}}]}, "<Queue>dev"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}]]}, "a-dev"),
        ({"Fn::Select": ["1", {"Ref": "Zones"}]}, "b"),
        ({"Fn::Split": ["/", "x/y"]}, ["x", "y"]),
        ({"Fn::If": ["IsProd", 1, 2]}, 2),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 128),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
        (
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ),
    ],
)
def test_intrinsics(load: Any, written: Any, resolved: Any) -> None:
    """Each intrinsic function gives what CloudFormation gives."""
    assert load().resolve(written, look_up) == resolved


def test_unknown_intrinsic_is_refused(load: Any) -> None:
    """An intrinsic that the local stack does not know is an error, not a silent difference."""
    with pytest.raises(TemplateError, match="Fn::Cidr"):
        load().resolve({"Fn::Cidr": ["10.0.0.0/8", 2, 8]}, look_up)


@pytest.mark.parametrize(
    ("parameters", "conditions"),
    [
        ({}, {"IsProd": False, "IsKept": False, "IsAny": True}),
        ({"Stage": "prod"}, {"IsProd": True, "IsKept": False, "IsAny": True}),
        ({"Stage": "prod", "Days": 3}, {"IsProd": True, "IsKept": True, "IsAny": True}),
        ({"Stage": "test"}, {"IsProd": False, "IsKept": False, "IsAny": False}),
    ],
)
def test_conditions(load: Any, parameters: dict[str, Any], conditions: dict[str, bool]) -> None:
    """Conditions follow the parameters, whatever order they are declared in; 0 equals "0"."""
    assert load(parameters=parameters).conditions == conditions


def test_conditional_resource_is_left_out(load: Any) -> None:
    """A resource whose condition does not hold is not there."""
    assert "Only" not in load().resources
    assert "Only" in load(parameters={"Stage": "prod"}).resources


def test_globals_are_merged(load: Any) -> None:
    """Globals: maps are merged, lists joined, and a function's own value wins."""
    assert load().properties("Work") == {
        "Timeout": 5,
        "Environment": {"Variables": {"LEVEL": "INFO", "QUEUE": {"Ref": "Queue"}}},
        "Layers": ["common", "own"],
    }


def test_override(load: Any) -> None:
    """A test may replace a property of a resource, but not of one that does not exist."""
    assert load(overrides={"Queue.VisibilityTimeout": 2}).properties("Queue")["VisibilityTimeout"] == 2
    with pytest.raises(TemplateError, match="Nothing"):
        load(overrides={"Nothing.VisibilityTimeout": 2})


def test_unknown_parameter_is_refused(load: Any) -> None:
    """A parameter that the template does not declare is an error."""
    with pytest.raises(TemplateError, match="Stagee"):
        load(parameters={"Stagee": "prod"})
