"""The transformed template is what CloudFormation accepts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.template.conftest import ROOT

CFN_LINT = str(Path(sys.executable).with_name("cfn-lint"))

# Regions with the newest, the oldest and the fewest services.
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-2"]


def lint(template: dict[str, Any], folder: Path) -> list[str]:
    """Return cfn-lint's errors and warnings, each with its rule and place."""
    path = folder / "template.json"
    path.write_text(json.dumps(template), encoding="utf-8")
    command = [CFN_LINT, "--format", "json", "--regions", *REGIONS, "--template", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert not done.stderr, done.stderr
    return [
        f"{match['Rule']['Id']} {'/'.join(map(str, match['Location']['Path'] or []))}: {match['Message']}"
        for match in json.loads(done.stdout)
    ]


def test_transformed_template_is_clean(transformed: dict[str, Any], tmp_path: Path) -> None:
    """cfn-lint finds no error and no warning."""
    assert lint(transformed, tmp_path) == []


def test_lint_sees_mistakes(transformed: dict[str, Any], tmp_path: Path) -> None:
    """A property that does not exist is found, so that silence means something."""
    broken = json.loads(json.dumps(transformed))
    broken["Resources"]["LoadQueue"]["Properties"]["VisibilityTimeOut"] = 1
    assert any(line.startswith("E3002 Resources/LoadQueue") for line in lint(broken, tmp_path))


def test_template_has_no_yaml_aliases() -> None:
    """CloudFormation's YAML has no aliases."""
    tokens = yaml.scan((ROOT / "template.yaml").read_text(encoding="utf-8"))
    assert not [token for token in tokens if isinstance(token, yaml.AliasToken)]


def test_no_name_is_given_twice() -> None:
    """A mapping names each of its keys once: of two resources of one name the first would be lost without a word."""
    nodes = [yaml.compose((ROOT / "template.yaml").read_text(encoding="utf-8"))]
    for node in nodes:
        if isinstance(node, yaml.MappingNode):
            names = [name.value for name, _ in node.value]
            assert sorted(set(names)) == sorted(names)
            nodes += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def test_every_parameter_is_described_and_has_a_default(source: dict[str, Any]) -> None:
    """`sam deploy` works without a single answer, and each question explains itself and refuses nonsense."""
    for name, parameter in source["Parameters"].items():
        assert parameter["Description"], name
        assert "Default" in parameter, name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name


def test_every_parameter_is_used(source: dict[str, Any]) -> None:
    """No parameter asks for something that changes nothing."""
    body = json.dumps({key: source[key] for key in ("Conditions", "Globals", "Resources", "Outputs")})
    for name in source["Parameters"]:
        assert f'"Ref": "{name}"' in body or f"${{{name}}}" in body, name


def test_outputs_tell_where_things_are(source: dict[str, Any]) -> None:
    """What a person needs after a deploy is among the outputs."""
    assert {
        "WebhookUrl",
        "ApiUrl",
        "ConsoleUrl",
        "RawBucketName",
        "ApiKeysTableName",
        "WebhookSecretArn",
        "DatabaseEndpoint",
        "LoadQueueUrl",
        "LoadDeadLetterQueueUrl",
        "AlarmTopicArn",
    } == set(source["Outputs"])
