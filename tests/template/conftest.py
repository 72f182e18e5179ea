"""The template as written and as SAM's transform leaves it, without AWS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parents[2]


class OfflineSession:
    """Stands in for the boto3 session of which the transform wants the region only."""

    region_name = "eu-central-1"


def read_template() -> dict[str, Any]:
    """Return template.yaml with its intrinsic functions in their long form."""
    return cast("dict[str, Any]", yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8")))


def transform(template: dict[str, Any]) -> dict[str, Any]:
    """Return what CloudFormation would get. Local code is replaced by where `sam deploy` would have put it."""
    template["Globals"]["Function"]["CodeUri"] = "s3://some-bucket/functions"
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = "s3://some-bucket/layer"
    # The transform names AWS-managed policies by asking IAM; none is used here, so an empty map does.
    translator = Translator({}, Parser(), boto_session=OfflineSession())
    return cast("dict[str, Any]", translator.translate(template, parameter_values={}))


@pytest.fixture(scope="session")
def source() -> dict[str, Any]:
    """The template as written."""
    return read_template()


@pytest.fixture(scope="session")
def transformed() -> dict[str, Any]:
    """The template as CloudFormation sees it."""
    return transform(read_template())


@pytest.fixture(scope="session")
def resources(transformed: dict[str, Any]) -> Mapping[str, Any]:
    """Every resource that CloudFormation makes, by logical id."""
    return cast("Mapping[str, Any]", transformed["Resources"])


@pytest.fixture(scope="session")
def functions(source: dict[str, Any]) -> Mapping[str, Any]:
    """The properties of every function, globals included, by logical id."""
    shared = source["Globals"]["Function"]
    return {
        name: {**shared, **resource["Properties"]}
        for name, resource in source["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
