"""`python -m admin replay|api-key --stack NAME`: administers a deployed stack with the caller's AWS credentials.

`--bucket`, `--queue-url` and `--table` may be given instead of a stack whose outputs name them.
`python -m admin check-mapping FILE [--sample BODY]` needs no stack: it tries the mapping of a provider.
`python -m admin apply-cohorts [DIR]` brings cohorts from files to an API; `import-cohort` makes such a file of another
system's. `apply-templates [DIR]` does the same with templates of mails, and `import-suppressions FILE` with a list of
whom not to mail.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from admin.api_keys import ApiKeyError
from admin.calls import CallError
from admin.commands import add_api_key_arguments, add_replay_arguments, run_api_key, show_replay
from admin.replay import ReplayError


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m admin", description="Administers a deployed Mailwake stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument("--stack", help="name of the CloudFormation stack")
    where.add_argument("--region", help="AWS region (default: as your environment says)")
    replay = commands.add_parser("replay", parents=[where], help="load stored batches again")
    add_replay_arguments(replay)
    replay.add_argument("--bucket", help="raw bucket (default: the stack's)")
    replay.add_argument("--queue-url", help="load queue (default: the stack's)")
    keys = commands.add_parser("api-key", help="make, list or revoke API keys")
    table = argparse.ArgumentParser(add_help=False, parents=[where])
    table.add_argument("--table", help="table of API keys (default: the stack's)")
    add_api_key_arguments(keys, table)
    mapping = commands.add_parser("check-mapping", help="check a provider's mapping, and try it on a body")
    mapping.add_argument("file", type=Path, metavar="FILE", help="the mapping, <name>.json")
    mapping.add_argument("--sample", type=Path, metavar="BODY", help="a file with a webhook's body: shows its events")
    mapping.add_argument("--content-type", default="", help="of the sample, where it is a form (default: as it looks)")
    mapping.add_argument("--query", default="", help="of the URL that the sample came to, without the question mark")
    add_cohort_arguments(commands, where)
    add_template_arguments(commands, where)
    add_suppression_arguments(commands, where)
    return parser.parse_args(arguments)


def add_cohort_arguments(commands: Any, where: argparse.ArgumentParser) -> None:
    """Arguments of what works on cohorts."""
    cohorts = commands.add_parser("apply-cohorts", parents=[where], help="bring cohorts from files to the API")
    cohorts.add_argument("folder", type=Path, nargs="?", default=Path("cohorts"), metavar="DIR", help="their folder")
    cohorts.add_argument("--check", action="store_true", help="only check the files")
    cohorts.add_argument("--url", help="of the API, ending in /api/v1 (default: the stack's)")
    cohorts.add_argument("--key", help="API key (default: MAILWAKE_API_KEY of your environment)")
    imported = commands.add_parser("import-cohort", help="make a cohort's file of another system's")
    imported.add_argument("system", choices=("dittofeed", "posthog"), help="whose it is")
    imported.add_argument("file", type=Path, metavar="FILE", help="the segment or cohort in the other's JSON")
    imported.add_argument("--zone", help="time zone that the other counts days in, as Europe/Berlin")
    imported.add_argument("--name", help="of the cohort (default: from the name in the file, or of the file)")


def add_template_arguments(commands: Any, where: argparse.ArgumentParser) -> None:
    """Arguments of what works on templates of mails."""
    templates = commands.add_parser("apply-templates", parents=[where], help="bring templates of mails to the API")
    templates.add_argument(
        "folder", type=Path, nargs="?", default=Path("email_templates"), metavar="DIR", help="the folder of theirs"
    )
    templates.add_argument("--check", action="store_true", help="only check the files")
    templates.add_argument("--dry-run", action="store_true", help="only tell what would change")
    templates.add_argument("--url", help="of the API, ending in /api/v1 (default: the stack's)")
    templates.add_argument("--key", help="API key (default: MAILWAKE_API_KEY of your environment)")


def add_suppression_arguments(commands: Any, where: argparse.ArgumentParser) -> None:
    """Arguments of what imports lists of whom not to mail."""
    lists = commands.add_parser(
        "import-suppressions", parents=[where], help="bring a list of whom not to mail to the API"
    )
    lists.add_argument(
        "file", type=Path, metavar="FILE", help="SparkPost's suppression list or ours: JSON, JSON Lines or CSV"
    )
    lists.add_argument("--check", action="store_true", help="only check the file")
    lists.add_argument(
        "--skip-bad", action="store_true", help="leave out lines that can't be read (default: import nothing)"
    )
    lists.add_argument("--url", help="of the API, ending in /api/v1 (default: the stack's)")
    lists.add_argument("--key", help="API key (default: MAILWAKE_API_KEY of your environment)")


def read_outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    """The outputs of a CloudFormation stack."""
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def run_check_mapping(options: argparse.Namespace) -> int:
    """1 where the mapping is wrong, or a part of the sample would be set aside."""
    from admin.mappings import show_mapping  # with the functions' code

    try:
        problems = show_mapping(options.file, options.sample, content_type=options.content_type, query=options.query)
    except (ValueError, OSError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 1 if problems else 0


def run_cohorts(options: argparse.Namespace) -> int:
    """1 where a file is wrong, or the API does not take it."""
    from admin.cohort_files import CohortFilesError  # with the functions' code
    from admin.cohort_imports import ImportFileError, import_cohort
    from admin.cohorts import apply_cohorts, check_cohorts

    try:
        if options.command == "import-cohort":
            import_cohort(options.system, options.file, zone=options.zone, name=options.name)
        elif options.check:
            check_cohorts(options.folder)
        else:
            key = options.key or os.environ.get("MAILWAKE_API_KEY")
            if not key or not (options.url or options.stack):
                print("say where: --stack NAME or --url URL; and --key KEY, or MAILWAKE_API_KEY", file=sys.stderr)
                return 2
            apply_cohorts(options.folder, options.url or find_api(options), key)
    except (CohortFilesError, ImportFileError, CallError, BotoCoreError, ClientError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


def run_templates(options: argparse.Namespace) -> int:
    """1 where a file is wrong, or the API does not take it."""
    from admin.template_files import TemplateFilesError  # with the functions' code
    from admin.templates import apply_templates, check_templates

    key = options.key or os.environ.get("MAILWAKE_API_KEY")
    if not options.check and (not key or not (options.url or options.stack)):
        print("say where: --stack NAME or --url URL; and --key KEY, or MAILWAKE_API_KEY", file=sys.stderr)
        return 2
    try:
        if options.check:
            check_templates(options.folder)
        else:
            apply_templates(options.folder, options.url or find_api(options), str(key), dry_run=options.dry_run)
    except (TemplateFilesError, CallError, BotoCoreError, ClientError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


def run_suppressions(options: argparse.Namespace) -> int:
    """1 where the file is wrong, or the API does not take it."""
    from admin.suppression_files import ListFileError
    from admin.suppressions import import_suppressions, open_list  # with the functions' code

    key = options.key or os.environ.get("MAILWAKE_API_KEY")
    if not options.check and (not key or not (options.url or options.stack)):
        print("say where: --stack NAME or --url URL; and --key KEY, or MAILWAKE_API_KEY", file=sys.stderr)
        return 2
    try:
        send = None if options.check else open_list(options.url or find_api(options), str(key))
        return 0 if import_suppressions(options.file, send, skip_bad=options.skip_bad) else 1
    except (ListFileError, CallError, OSError, BotoCoreError, ClientError) as error:
        print(f"{error}", file=sys.stderr)
        return 1


def find_api(options: argparse.Namespace) -> str:
    """The URL of a stack's API."""
    outputs = read_outputs(boto3.session.Session(region_name=options.region).client("cloudformation"), options.stack)
    if "ApiUrl" not in outputs:
        raise CallError(f"stack {options.stack} has no output ApiUrl: is it a Mailwake stack?")
    return outputs["ApiUrl"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; gives the exit code."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    if options.command == "check-mapping":
        return run_check_mapping(options)
    if options.command in ("apply-cohorts", "import-cohort"):
        return run_cohorts(options)
    if options.command == "apply-templates":
        return run_templates(options)
    if options.command == "import-suppressions":
        return run_suppressions(options)
    session = boto3.session.Session(region_name=options.region)
    make: Any = session.client
    named = {"replay": ("bucket", "queue_url"), "api-key": ("table",)}[options.command]
    if not options.stack and not all(getattr(options, name) for name in named):
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in named)
        print(f"say which: --stack NAME, or {flags}", file=sys.stderr)
        return 2
    try:
        outputs = read_outputs(make("cloudformation"), options.stack) if options.stack else {}
        if options.command == "replay":
            bucket = options.bucket or outputs["RawBucketName"]
            queue_url = options.queue_url or outputs["LoadQueueUrl"]
            show_replay(make("s3"), make("sqs"), bucket=bucket, queue_url=queue_url, prefix=options.prefix)
        else:
            run_api_key(options, make("dynamodb"), options.table or outputs["ApiKeysTableName"])
    except KeyError as missing:
        print(f"stack {options.stack} has no output {missing}: is it a Mailwake stack?", file=sys.stderr)
        return 1
    except (ApiKeyError, ReplayError, BotoCoreError, ClientError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
