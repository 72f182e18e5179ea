"""Who may do what: no role may do more than its function does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

# AWS knows no narrower resource for these. Everything else with a star fails.
ALLOWED_STARS = {
    # EC2 describes all or nothing.
    ("ec2:DescribeNetworkInterfaces", "*"),
    ("ec2:DescribeSubnets", "*"),
    # An interface's id is not known before it exists.
    *(
        (action, "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:network-interface/*")
        for action in (
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:UnassignPrivateIpAddresses",
        )
    ),
    # SES knows one account.
    ("ses:GetAccount", "*"),
    # Nor is an object's key: only its prefix.
    ("s3:GetObject", "${RawBucket.Arn}/raw/*"),
    ("s3:PutObject", "${RawBucket.Arn}/raw/*"),
    ("s3:PutObject", "${RawBucket.Arn}/raw/mailwake/*"),
    ("s3:PutObject", "${OutboxBucket.Arn}/outbox/*"),
    ("s3:GetObject", "${OutboxBucket.Arn}/outbox/*"),
    *(("s3:GetObject", f"${{ExportBucket.Arn}}/{prefix}/*") for prefix in ("exports", "requests", "status")),
    *(("s3:PutObject", f"${{ExportBucket.Arn}}/{prefix}/*") for prefix in ("exports", "requests", "status")),
    *(("s3:AbortMultipartUpload", f"${{ExportBucket.Arn}}/{prefix}/*") for prefix in ("exports", "status")),
}

EXPORTING = ("AbortMultipartUpload", "GetObject", "ListBucket", "PutObject")

# What each function's role may do beyond its own log and the VPC.
EXPECTED_ACTIONS = {
    "AuthorizerRole": {"dynamodb:GetItem"},
    "ConsoleRole": {"dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
    "MaintainPartitionsRole": {"rds-db:connect"},
    "MigrateDatabaseRole": {"rds-db:connect"},
    "CohortEvaluatorRole": {"rds-db:connect", "s3:PutObject"},
    "MailerRole": {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "s3:GetObject",
        "s3:PutObject",
        "secretsmanager:GetSecretValue",
        "ses:GetAccount",
        "ses:SendEmail",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    },
    "ChangeCohortsRole": {"rds-db:connect"},
    "ExportEventsRole": {
        "rds-db:connect",
        "s3:AbortMultipartUpload",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    },
    "QueryEventsRole": {"rds-db:connect", "s3:GetObject", "s3:ListBucket", "s3:PutObject"},  # of exports
    "S3LoaderRole": {
        "rds-db:connect",
        "s3:GetObject",
        "s3:ListBucket",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
    },
    "StartMigrationRole": {"lambda:InvokeFunction", "secretsmanager:GetSecretValue"},
    "SummariseHoursRole": {"rds-db:connect"},
    "UnsubscribeRole": {"dynamodb:PutItem", "s3:PutObject", "secretsmanager:GetSecretValue"},
    "WebhookListenerRole": {"s3:PutObject", "secretsmanager:GetSecretValue"},
}


def as_list(value: Any) -> list[Any]:
    """Return a list of one for what may be written as one or as a list."""
    return value if isinstance(value, list) else [value]


def list_statements(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return the statements of a role's inline policies or of a managed policy."""
    properties = resource["Properties"]
    for document in [policy["PolicyDocument"] for policy in properties.get("Policies", [])]:
        yield from document["Statement"]
    if resource["Type"] == "AWS::IAM::ManagedPolicy":
        yield from properties["PolicyDocument"]["Statement"]


def list_grants(resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return each (action, resource) that a role or policy allows; a resource is its ARN or what makes it."""
    for statement in list_statements(resource):
        assert set(statement) <= {"Effect", "Action", "Resource", "Condition"}, "no NotAction, no NotResource"
        for action in as_list(statement["Action"]):
            for target in as_list(statement["Resource"]):
                yield (
                    action,
                    target["Fn::Sub"]
                    if isinstance(target, dict) and "Fn::Sub" in target
                    else json.dumps(target).strip('"'),
                )


def select(resources: Mapping[str, Any], *types: str) -> dict[str, Any]:
    """Return the resources of some types."""
    return {name: resource for name, resource in resources.items() if resource["Type"] in types}


def test_no_star_in_any_role(resources: Mapping[str, Any]) -> None:
    """Actions and resources are named; the exceptions are those above, and each of them is still needed."""
    stars = {
        grant
        for resource in select(resources, "AWS::IAM::Role", "AWS::IAM::ManagedPolicy").values()
        for grant in list_grants(resource)
        if "*" in grant[0] or "*" in grant[1]
    }
    assert stars == ALLOWED_STARS


def test_roles_do_what_their_functions_do(resources: Mapping[str, Any]) -> None:
    """A new permission has to be written down here too."""
    roles = select(resources, "AWS::IAM::Role")
    logging = {"logs:CreateLogStream", "logs:PutLogEvents"}
    actions = {name: {action for action, _ in list_grants(role)} for name, role in roles.items()}
    assert actions == {name: expected | logging for name, expected in EXPECTED_ACTIONS.items()}


def test_no_aws_managed_policy_is_attached(resources: Mapping[str, Any]) -> None:
    """AWS's ready-made policies are full of stars."""
    for name, role in select(resources, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("ManagedPolicyArns", []):
            assert policy == {"Ref": "VpcAccessPolicy"}, name


def test_every_function_has_a_role_of_its_own(functions: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """No two functions share a role, and only Lambda can take one on."""
    for name, function in functions.items():
        assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        (statement,) = resources[f"{name}Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_every_function_writes_its_own_log_only(functions: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """A role's log permission names its function's log group."""
    for name in functions:
        targets = {target for action, target in list_grants(resources[f"{name}Role"]) if action.startswith("logs:")}
        assert targets == {json.dumps({"Fn::GetAtt": [f"{name}Log", "Arn"]})}


def test_functions_log_in_as_their_own_database_role(
    functions: Mapping[str, Any], resources: Mapping[str, Any]
) -> None:
    """The one database user that a role may connect as is the one that the function's settings name."""
    for name, function in functions.items():
        user = function["Environment"]["Variables"].get("DATABASE_USER")
        users = {
            target.rpartition("/")[2]
            for action, target in list_grants(resources[f"{name}Role"])
            if action == "rds-db:connect"
        }
        assert users == ({user} if user else set()), name


def test_vpc_policy_goes_with_the_vpc(functions: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """Functions with database settings are in the isolated subnets and may be attached to them, no others."""
    for name, function in functions.items():
        inside = "DATABASE_HOST" in function["Environment"]["Variables"]
        assert ("VpcConfig" in function) == inside, name
        assert bool(resources[f"{name}Role"]["Properties"].get("ManagedPolicyArns")) == inside, name


@pytest.mark.parametrize("kind", ["AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"])
def test_resource_policies_allow_nobody_in_general(resources: Mapping[str, Any], kind: str) -> None:
    """A statement for everybody only denies; one that allows names a service, an action and this account."""
    for policy in select(resources, kind).values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if statement["Effect"] == "Deny":
                assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            else:
                assert set(statement["Principal"]) == {"Service"}
                assert "*" not in json.dumps([statement["Action"], statement["Resource"]])
                assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_everything_stored_is_reached_by_tls_only(resources: Mapping[str, Any]) -> None:
    """Each bucket and each queue denies plain HTTP, and the database's parameters force TLS."""
    for kind, policy_kind, key in [
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy", "Bucket"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy", "Queues"),
    ]:
        covered = [
            target["Ref"]
            for policy in select(resources, policy_kind).values()
            if any(statement["Effect"] == "Deny" for statement in policy["Properties"]["PolicyDocument"]["Statement"])
            for target in as_list(policy["Properties"][key])
        ]
        assert sorted(covered) == sorted(select(resources, kind))
    assert resources["DatabaseParameters"]["Properties"]["Parameters"]["rds.force_ssl"] == "1"


def test_endpoint_lets_out_what_the_functions_inside_need(resources: Mapping[str, Any]) -> None:
    """Through the S3 endpoint one can read raw batches, hand exports and mails over, answer CloudFormation, no more."""
    statements = resources["S3Endpoint"]["Properties"]["PolicyDocument"]["Statement"]
    allowed = {
        (action, json.dumps(target))
        for statement in statements
        for action in as_list(statement["Action"])
        for target in as_list(statement["Resource"])
    }
    bucket = json.dumps({"Fn::GetAtt": ["RawBucket", "Arn"]})
    objects = json.dumps({"Fn::Sub": "${RawBucket.Arn}/raw/*"})
    exports = [json.dumps({"Fn::GetAtt": ["ExportBucket", "Arn"]}), json.dumps({"Fn::Sub": "${ExportBucket.Arn}/*"})]
    answers = json.dumps({"Fn::Sub": "arn:${AWS::Partition}:s3:::cloudformation-custom-resource-response-*/*"})
    assert allowed == {
        *((action, target) for action in ("s3:GetObject", "s3:ListBucket") for target in (bucket, objects)),
        *((f"s3:{action}", target) for action in EXPORTING for target in exports),
        ("s3:PutObject", answers),
        ("s3:PutObject", json.dumps({"Fn::Sub": "${OutboxBucket.Arn}/outbox/*"})),
    }
