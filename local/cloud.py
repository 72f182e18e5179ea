"""AWS's part of the stack: the moto process, and in it the buckets, queues, tables and secrets of the template."""

import contextlib
import http.client
import json
import secrets
import string
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.launching import CREDENTIALS
from local.processes import ProcessGroup
from local.sns import make_certificate
from local.template import ACCOUNT_ID, REGION, Template

BUCKET = "AWS::S3::Bucket"
QUEUE = "AWS::SQS::Queue"
TABLE = "AWS::DynamoDB::Table"
SECRET = "AWS::SecretsManager::Secret"
TOPIC = "AWS::SNS::Topic"
MAIL_EVENTS = "MailEventsTopic"  # by which SES tells of mails

# Properties of a queue that SQS takes as attributes under the same name.
QUEUE_ATTRIBUTES = (
    "DelaySeconds",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "VisibilityTimeout",
)


class Cloud:
    """A moto server in a process of its own, and clients for it."""

    def __init__(self, processes: ProcessGroup, *, log: Path, environment: Mapping[str, str]) -> None:
        self._processes = processes
        self._log = log
        self.url = ""
        self._child = processes.start(
            [sys.executable, "-m", "local.cloud_server"], environment=environment, log=log, output=subprocess.PIPE
        )

    def await_start(self) -> None:
        """Waits until the server listens; only then has it a URL."""
        assert self._child.stdout is not None
        first_line = self._child.stdout.readline()
        if not first_line.strip().isdigit():
            raise RuntimeError(f"the moto server did not start; see {self._log}")
        self.url = f"http://127.0.0.1:{int(first_line)}"

    def client(self, service: str) -> Any:
        """A boto3 client of this cloud."""
        return make_client(service, self.url)

    def set_faults(self, **faults: Any) -> dict[str, Any]:
        """Sets fields of `local.cloud_server.Faults`; gives what they were before."""
        port = int(self.url.rpartition(":")[2])
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            connection.request("PUT", "/_faults", body=json.dumps(faults).encode())
            response = connection.getresponse()
            answer = response.read()
        if response.status != 200:
            raise ValueError(answer.decode())
        before: dict[str, Any] = json.loads(answer)
        return before

    def close(self) -> None:
        """Ends the server; everything in it is gone."""
        assert self._child.stdout is not None
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()
        self._processes.forget(self._child)


def make_client(service: str, endpoint: str | None) -> Any:
    """A boto3 client with the local stack's fake credentials. Waits a little for a busy machine, retries little."""
    session = boto3.session.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=CREDENTIALS["AWS_SESSION_TOKEN"],
        region_name=REGION,
    )
    config = Config(retries={"max_attempts": 2}, read_timeout=60, max_pool_connections=20)
    make: Any = session.client
    return make(service, endpoint_url=endpoint, config=config)


class Resources:
    """Creates what the template declares, and answers Ref and GetAtt for it."""

    def __init__(self, template: Template, cloud: Cloud, *, database_port: int, api_url: str) -> None:
        self._template = template
        self._cloud = cloud
        self._database_port = database_port
        self._api_url = api_url
        self._secret_arns: dict[str, str] = {}  # known only once made: they end at random
        self.master_secret_arn = ""

    def lookup(self, logical_id: str, attribute: str | None) -> Any:
        """The physical value of a Ref (attribute None) or a GetAtt; of what exists only in AWS, a made-up one."""
        resource_type = self._template.resources[logical_id]["Type"] if logical_id in self._template.resources else ""
        name = self.name(logical_id)
        known: dict[tuple[str, str | None], Any] = {
            (BUCKET, "Arn"): f"arn:aws:s3:::{name}",
            (QUEUE, None): f"{self._cloud.url}/{ACCOUNT_ID}/{name}",
            (QUEUE, "Arn"): _arn("sqs", name),
            (QUEUE, "QueueName"): name,
            (TABLE, "Arn"): _arn("dynamodb", f"table/{name}"),
            (TOPIC, None): _arn("sns", name),
            (SECRET, None): self._secret_arns.get(logical_id),
            ("AWS::RDS::DBInstance", "Endpoint.Address"): "127.0.0.1",
            ("AWS::RDS::DBInstance", "Endpoint.Port"): str(self._database_port),
            ("AWS::RDS::DBInstance", "MasterUserSecret.SecretArn"): self.master_secret_arn,
            ("AWS::RDS::DBInstance", "DbiResourceId"): "db-LOCAL",
            ("AWS::Serverless::Function", "Arn"): _arn("lambda", f"function:{name}"),
            ("AWS::Serverless::HttpApi", None): "local",
            ("AWS::Serverless::HttpApi", "ApiEndpoint"): self._api_url,
        }
        if (resource_type, attribute) in known:
            return known[resource_type, attribute]
        if attribute is None:
            return name
        return _arn("local", name) if attribute.endswith("Arn") else f"{name}-{attribute.lower()}"

    def name(self, logical_id: str) -> str:
        """The physical name: what the template asks for, else one made of the logical id."""
        if logical_id not in self._template.resources:
            return logical_id.lower()  # of a condition that does not hold, or made by SAM's transform
        properties = self._template.properties(logical_id)
        for key in ("BucketName", "QueueName", "TableName", "FunctionName"):
            if key in properties:
                return str(self._template.resolve(properties[key], self.lookup))
        is_bucket = self._template.resources[logical_id]["Type"] == BUCKET  # their names are lower case
        return f"{self._template.stack_name}-{logical_id.lower() if is_bucket else logical_id}"

    def create(self) -> None:
        """Creates queues (dead-letter queues first), tables, secrets and, last, buckets with their notifications."""
        queues = self._template.of_type(QUEUE)
        for logical_id in sorted(queues, key=lambda one: "RedrivePolicy" in self._template.properties(one)):
            self._create_queue(logical_id)
        for logical_id in self._template.of_type(TABLE):
            self._create_table(logical_id)
        for logical_id in self._template.of_type(SECRET):
            self._create_secret(logical_id)
        for logical_id in self._template.of_type("AWS::RDS::DBInstance"):
            self._create_master_secret(logical_id)
        for logical_id in self._template.of_type(BUCKET):
            self._create_bucket(logical_id)
        self._set_mails_up()

    def resolve(self, logical_id: str) -> dict[str, Any]:
        """A resource's properties, resolved."""
        resolved: dict[str, Any] = self._template.resolve(self._template.properties(logical_id), self.lookup)
        return resolved

    def _create_queue(self, logical_id: str) -> None:
        properties = self.resolve(logical_id)
        attributes = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in properties.items()
            if name in QUEUE_ATTRIBUTES
        }
        self._cloud.client("sqs").create_queue(QueueName=self.name(logical_id), Attributes=attributes)

    def _create_table(self, logical_id: str) -> None:
        properties = self.resolve(logical_id)
        self._cloud.client("dynamodb").create_table(
            TableName=self.name(logical_id),
            KeySchema=properties["KeySchema"],
            AttributeDefinitions=properties["AttributeDefinitions"],
            BillingMode="PAY_PER_REQUEST",
        )

    def _create_secret(self, logical_id: str) -> None:
        properties = self.resolve(logical_id)
        text = properties.get("SecretString") or generate_secret(properties.get("GenerateSecretString") or {})
        made = self._cloud.client("secretsmanager").create_secret(
            Name=properties.get("Name", self.name(logical_id)), SecretString=text
        )
        self._secret_arns[logical_id] = made["ARN"]

    def _create_master_secret(self, logical_id: str) -> None:
        """The secret that RDS itself keeps for the master user (ManageMasterUserPassword)."""
        login = {"username": self.resolve(logical_id)["MasterUsername"], "password": secrets.token_urlsafe(24)}
        made = self._cloud.client("secretsmanager").create_secret(Name="rds!db-local", SecretString=json.dumps(login))
        self.master_secret_arn = made["ARN"]

    def _set_mails_up(self) -> None:
        """What is done by hand on AWS: SES knows the sender. What AWS has: the certificate by which SNS signs."""
        if identity := self._template.parameters.get("SenderIdentity"):
            self._cloud.client("sesv2").create_email_identity(EmailIdentity=identity)
        if MAIL_EVENTS in self._template.resources:
            client, secret_id = self._cloud.client("secretsmanager"), self._secret_arns["WebhookSecret"]
            live = json.loads(client.get_secret_value(SecretId=secret_id)["SecretString"])
            live["amazon_ses"] = [make_certificate()]
            client.put_secret_value(SecretId=secret_id, SecretString=json.dumps(live))

    def _create_bucket(self, logical_id: str) -> None:
        s3 = self._cloud.client("s3")
        name = self.name(logical_id)
        s3.create_bucket(Bucket=name)
        properties = self.resolve(logical_id)
        versioning = (properties.get("VersioningConfiguration") or {}).get("Status")
        if versioning:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": versioning})
        queues = (properties.get("NotificationConfiguration") or {}).get("QueueConfigurations") or []
        if queues:
            configuration = {"QueueConfigurations": [notification_for_api(queue) for queue in queues]}
            s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=configuration)


def notification_for_api(declared: Mapping[str, Any]) -> dict[str, Any]:
    """A template's QueueConfiguration in the words of S3's API."""
    api: dict[str, Any] = {"QueueArn": declared["Queue"], "Events": [declared["Event"]]}
    rules = ((declared.get("Filter") or {}).get("S3Key") or {}).get("Rules")
    if rules:
        api["Filter"] = {"Key": {"FilterRules": [{"Name": rule["Name"], "Value": rule["Value"]} for rule in rules]}}
    return api


def generate_secret(asked: Mapping[str, Any]) -> str:
    """What Secrets Manager makes of a GenerateSecretString."""
    alphabet = string.ascii_letters + string.digits
    if not asked.get("ExcludePunctuation"):
        alphabet += "!#$%&()*+,-./:;<=>?@[]^_{|}~"
    alphabet = "".join(sorted(set(alphabet) - set(asked.get("ExcludeCharacters", ""))))
    generated = "".join(secrets.choice(alphabet) for _ in range(int(asked.get("PasswordLength", 32))))
    if "GenerateStringKey" not in asked:
        return generated
    return json.dumps({**json.loads(asked.get("SecretStringTemplate", "{}")), asked["GenerateStringKey"]: generated})


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{rest}"
