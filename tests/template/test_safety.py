"""Nothing gets lost, nothing is open, and someone hears of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.template.test_permissions import select


def get_alarms(resources: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Return the alarms on a metric, by the logical id in their one dimension."""
    found = {}
    for alarm in select(resources, "AWS::CloudWatch::Alarm").values():
        if alarm["Properties"]["MetricName"] == metric:
            (dimension,) = alarm["Properties"]["Dimensions"]
            value = dimension["Value"]
            found[value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]] = alarm["Properties"]
    return found


def list_dead_letter_queues(resources: Mapping[str, Any]) -> set[str]:
    """Return the queues that others redrive to."""
    return {
        queue["Properties"]["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for queue in select(resources, "AWS::SQS::Queue").values()
        if "RedrivePolicy" in queue["Properties"]
    }


def test_every_queue_has_a_dead_letter_queue(resources: Mapping[str, Any]) -> None:
    """A message that cannot be worked off ends in a queue that keeps it for as long as SQS can."""
    dead = list_dead_letter_queues(resources)
    for name, queue in select(resources, "AWS::SQS::Queue").items():
        properties = queue["Properties"]
        assert ("RedrivePolicy" in properties) != (name in dead), name
        assert properties["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert properties["SqsManagedSseEnabled"] is True


def test_every_queue_has_an_alarm(resources: Mapping[str, Any]) -> None:
    """One message in a dead-letter queue, or one that waits too long in another, calls a person."""
    dead = list_dead_letter_queues(resources)
    depth = get_alarms(resources, "ApproximateNumberOfMessagesVisible")
    assert set(depth) == dead
    assert all(alarm["Threshold"] == 0 for alarm in depth.values())
    assert (
        set(get_alarms(resources, "ApproximateAgeOfOldestMessage")) == set(select(resources, "AWS::SQS::Queue")) - dead
    )


def test_every_function_that_nobody_deploys_has_an_error_alarm(
    functions: Mapping[str, Any], resources: Mapping[str, Any]
) -> None:
    """All but the two whose failure fails the deploy itself."""
    assert set(get_alarms(resources, "Errors")) == set(functions) - {"MigrateDatabase", "StartMigration"}


def test_database_has_a_storage_alarm(resources: Mapping[str, Any]) -> None:
    """A person hears of a database that fills up."""
    assert set(get_alarms(resources, "FreeStorageSpace")) == {"Database"}


def test_alarms_go_to_the_topic(resources: Mapping[str, Any]) -> None:
    """Both when they begin and when they end, with a sentence that says what to do."""
    for name, alarm in select(resources, "AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["Properties"]["OKActions"] == [{"Ref": "AlarmTopic"}], name
        assert alarm["Properties"]["AlarmDescription"].endswith((".", "?")), name


def test_every_function_logs_json_with_retention(functions: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """Each function has a log group of its own, whose retention is the parameter's."""
    for name, function in functions.items():
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["LogGroup"] == {"Ref": f"{name}Log"}
    for group in select(resources, "AWS::Logs::LogGroup").values():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_visibility_timeout_is_six_times_the_functions(
    functions: Mapping[str, Any], resources: Mapping[str, Any]
) -> None:
    """Lambda asks for that, else a message comes back while it is still being worked on."""
    at_once = {"S3Loader": {"Ref": "LoaderConcurrency"}, "ExportEvents": 2, "Mailer": 4}
    for name, function in functions.items():
        for event in function.get("Events", {}).values():
            if event["Type"] == "SQS":
                queue = resources[event["Properties"]["Queue"]["Fn::GetAtt"][0]]
                assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Timeout"]
                assert event["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                assert event["Properties"]["ScalingConfig"]["MaximumConcurrency"] == at_once[name]


def test_functions_behind_the_api_end_before_it_gives_up(functions: Mapping[str, Any]) -> None:
    """The HTTP API waits 30 seconds."""
    for name, function in functions.items():
        if any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values()):
            assert function["Timeout"] < 30, name


def test_migration_outlives_what_it_waits_for(functions: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
    """CloudFormation waits for StartMigration, which waits for MigrateDatabase."""
    schema = resources["Schema"]["Properties"]["ServiceTimeout"]
    assert functions["MigrateDatabase"]["Timeout"] < functions["StartMigration"]["Timeout"] < schema <= 3600


def test_schema_runs_when_code_or_migrations_changed(resources: Mapping[str, Any]) -> None:
    """The custom resource has a property that a new version of MigrateDatabase, which carries sql/, changes."""
    version = resources["Schema"]["Properties"]["MigrationVersion"]["Ref"]
    assert resources[version]["Type"] == "AWS::Lambda::Version"
    assert resources[version]["Properties"]["FunctionName"] == {"Ref": "MigrateDatabase"}


@pytest.mark.parametrize("name", ["S3Loader", "QueryEvents", "MaintainPartitions", "SummariseHours", "ExportEvents"])
def test_functions_wait_for_the_schema(resources: Mapping[str, Any], name: str) -> None:
    """New code goes live after the migration that it counts on."""
    assert "Schema" in json.dumps(resources[name]["DependsOn"])


def test_migration_waits_for_its_network(resources: Mapping[str, Any]) -> None:
    """MigrateDatabase is not called before it can reach the database and answer CloudFormation."""
    needed = {"SubnetARoutes", "SubnetBRoutes", "FunctionToDatabase", "DatabaseFromFunction", "S3Endpoint"}
    assert needed <= set(resources["MigrateDatabase"]["DependsOn"])


def test_data_outlives_the_stack(resources: Mapping[str, Any]) -> None:
    """Deleting the stack, or replacing a resource in it, deletes no data."""
    kept = {"RawBucket": "Retain", "ApiKeysTable": "Retain", "SuppressionsTable": "Retain", "Database": "Snapshot"}
    for name, policy in kept.items():
        assert resources[name]["DeletionPolicy"] == policy
        assert resources[name]["UpdateReplacePolicy"] == policy


def test_raw_bucket_is_closed_and_versioned(resources: Mapping[str, Any]) -> None:
    """Encrypted, never public, every version kept for a while, and every raw object told to the queue."""
    bucket = resources["RawBucket"]["Properties"]
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Queue"] == {"Fn::GetAtt": ["LoadQueue", "Arn"]}
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "raw/"}]
    assert resources["RawBucket"]["DependsOn"] == "LoadQueuePolicy"


def test_database_is_closed(resources: Mapping[str, Any]) -> None:
    """Encrypted, not public, IAM log-in, a master password that nobody knows, and only the functions let in."""
    database = resources["Database"]["Properties"]
    assert database["StorageEncrypted"] is True
    assert database["PubliclyAccessible"] is False
    assert database["EnableIAMDatabaseAuthentication"] is True
    assert database["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in database
    assert database["DeletionProtection"] == {"Ref": "DatabaseDeletionProtection"}
    ingress = select(resources, "AWS::EC2::SecurityGroupIngress")
    assert set(ingress) == {"DatabaseFromFunction"}
    assert "SecurityGroupIngress" not in json.dumps(
        [resources[name]["Properties"] for name in ("FunctionSecurityGroup", "DatabaseSecurityGroup")]
    )


def test_database_logs_no_recipients(resources: Mapping[str, Any]) -> None:
    """Statements carry recipients: neither failed nor slow ones are logged, nor the details of an error."""
    parameters = resources["DatabaseParameters"]["Properties"]["Parameters"]
    assert parameters["log_min_error_statement"] == "panic"
    assert parameters["log_error_verbosity"] == "terse"
    assert parameters["log_min_duration_statement"] == "-1"


def test_access_log_names_no_recipient(resources: Mapping[str, Any]) -> None:
    """The HTTP API's log is JSON, and holds neither path nor query string."""
    text = resources["HttpApiApiGatewayDefaultStage"]["Properties"]["AccessLogSettings"]["Format"]
    logged = json.loads(text)
    assert logged["routeKey"] == "$context.routeKey"
    assert not any(value.startswith(("$context.path", "$context.authorizer.name")) for value in logged.values())
    assert all(value.startswith("$context.") for value in logged.values())


def test_subnets_lead_nowhere(resources: Mapping[str, Any]) -> None:
    """No gateway but S3's, no interface endpoint, no route of ours: nothing to pay for and no way out."""
    types = {resource["Type"] for resource in resources.values()}
    assert not types & {"AWS::EC2::NatGateway", "AWS::EC2::InternetGateway", "AWS::EC2::Route"}
    endpoints = select(resources, "AWS::EC2::VPCEndpoint")
    assert [endpoint["Properties"]["VpcEndpointType"] for endpoint in endpoints.values()] == ["Gateway"]


def test_api_asks_the_authorizer_every_time(resources: Mapping[str, Any]) -> None:
    """Queries go through the authorizer, whose answers are not cached and come in the simple form; webhooks do not."""
    body = resources["HttpApi"]["Properties"]["Body"]
    (scheme,) = body["components"]["securitySchemes"].values()
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert authorizer["enableSimpleResponses"] is True
    assert authorizer["authorizerPayloadFormatVersion"] == "2.0"
    assert not {"identitySource", "authorizerResultTtlInSeconds"} & set(authorizer)
    guarded = {path: all("security" in method for method in route.values()) for path, route in body["paths"].items()}
    webhooks = {"/webhooks/{provider}": False, "/webhooks/{provider}/{secret}": False}
    console = {"/console": False, "/console/{proxy+}": False}  # files without a secret, and the sign-in
    assert guarded == {
        **webhooks,
        **console,
        "/unsubscribe/{token}": False,  # the token is the proof
        "/api/{proxy+}": True,
        "/api/v1/cohorts/{cohort}": True,
        "/api/v1/cohorts/dry-run": True,
        "/api/v1/notifications/{notification}": True,
        "/api/v1/notifications/{notification}/test": True,
        "/api/v1/notifications/{notification}/preview": True,
        "/api/v1/templates/{template}": True,
        "/api/v1/templates/{template}/dry-run": True,
        "/api/v1/templates/{template}/preview": True,
        "/api/v1/templates/{template}/test": True,
        "/api/v1/suppressions": True,
        "/api/v1/mail/pause": True,
        "/v1/{proxy+}": True,
        "/prometheus/api/v1/write": True,
    }
