"""The commands themselves, for `python -m admin` (AWS) and `python -m local` (the local stack)."""

import argparse
import sys
import time
from typing import Any

from admin.api_keys import SCOPES, create_api_key, list_api_keys, revoke_api_key
from admin.replay import replay


def add_replay_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `replay`."""
    parser.add_argument(
        "--prefix", default="raw/", help="only objects whose key begins so (default: raw/, all of them)"
    )


def add_api_key_arguments(
    parser: argparse.ArgumentParser, *common: argparse.ArgumentParser, required: bool = True
) -> None:
    """Arguments of `api-key`; those of `common` may follow each action."""
    actions = parser.add_subparsers(dest="action", required=required)
    create = actions.add_parser("create", parents=common, help="make a key; it is printed once and cannot be had again")
    create.add_argument("--name", required=True, help="who or what will use it")
    create.add_argument(
        "--scope", action="append", choices=SCOPES, help=f"what it may do (default: {SCOPES[0]}); may be repeated"
    )
    actions.add_parser("list", parents=common, help="show all keys, by name and beginning of their hash")
    revoke = actions.add_parser("revoke", parents=common, help="make a key useless")
    revoke.add_argument(
        "key", metavar="NAME|KEY|HASH", help="its name, the key itself, or 8 or more digits of its hash"
    )


def show_replay(s3: Any, sqs: Any, *, bucket: str, queue_url: str, prefix: str) -> int:
    """Replays with a line of progress; gives the number of objects."""
    began = time.monotonic()
    interactive = sys.stdout.isatty()

    def progress(sent: int) -> None:
        if interactive:
            print(f"\r{sent} objects sent to the load queue", end="", flush=True)

    sent = replay(s3, sqs, bucket=bucket, queue_url=queue_url, prefix=prefix, progress=progress)
    took = time.monotonic() - began
    print(
        f"{chr(13) if interactive else ''}replay: {sent} objects under {prefix} sent to the load queue in {took:.1f} s"
    )
    return sent


def run_api_key(options: argparse.Namespace, dynamodb: Any, table: str) -> None:
    """Creates, lists or revokes."""
    if options.action == "create":
        scopes = options.scope or [SCOPES[0]]
        print(create_api_key(dynamodb, table, name=options.name, scopes=scopes))
        print(f"This is the only time that the key is shown. Its scopes: {', '.join(scopes)}.", file=sys.stderr)
    elif options.action == "list":
        for one in list_api_keys(dynamodb, table):
            state = f"revoked {one.revoked_at}" if one.revoked_at else "live"
            print(f"{one.key_hash[:12]}  {one.name}  {','.join(one.scopes)}  made {one.created_at}  {state}")
    else:
        for one in revoke_api_key(dynamodb, table, name_or_key=options.key):
            print(f"revoked {one.key_hash[:12]}  {one.name}")
