"""Entry point of the custom resource, outside the VPC.

Secrets Manager can't be reached from the isolated subnets, and Postgres can't from here: this function reads the
master's log-in and hands it to migrate_database, which answers CloudFormation.
"""

import json
import logging
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from common.cloudformation import FAILED, SUCCESS, answer_cloudformation
from common.settings import SettingError, read_text

log = logging.getLogger(__name__)

MIGRATION_SECONDS = 840  # a minute less than a function may take


class MigrationFailedError(Exception):
    """The migration ended without answering CloudFormation."""


def start_migration(event: dict[str, Any]) -> None:
    """Runs the migration and waits for its end. Raises `MigrationFailedError` where nobody answered CloudFormation."""
    secret = boto3.client("secretsmanager").get_secret_value(SecretId=read_text("MASTER_SECRET_ID"))
    master = json.loads(secret["SecretString"])
    payload = {"event": event, "master": {"username": master["username"], "password": master["password"]}}
    config = Config(read_timeout=MIGRATION_SECONDS, retries={"total_max_attempts": 1})
    response = boto3.client("lambda", config=config).invoke(
        FunctionName=read_text("MIGRATE_FUNCTION"), Payload=json.dumps(payload).encode()
    )
    if response.get("FunctionError"):
        failure = json.loads(response["Payload"].read())
        raise MigrationFailedError(f"the migration function failed: {failure.get('errorType')}; its log tells more")


def handler(event: dict[str, Any], _context: object) -> None:
    """CloudFormation's event. Deleting the resource leaves the database as it is."""
    if event["RequestType"] == "Delete":
        answer_cloudformation(event, SUCCESS)
        return
    try:
        start_migration(event)
    except (MigrationFailedError, SettingError, ClientError, BotoCoreError) as failure:
        log.exception("migration not started")
        answer_cloudformation(event, FAILED, reason=str(failure))
