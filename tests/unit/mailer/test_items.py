"""The ledger over our own client of DynamoDB does what it does over boto3's, which the other tests of it use."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from common.aws import AwsError
from mailer.items import Items, is_taken
from mailer.ledger import BROKEN_OFF, Claim, Ledger
from tests.unit.mailer.test_pace import TABLE, server, table

__all__ = ["server", "table"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_claims_and_settlements(table: Any) -> None:
    """New ones are ours, others' are busy, broken ones unknown, settled ones done; what was put off begins again."""
    first, second = Ledger(Items(), TABLE), Ledger(Items(), TABLE)
    assert first.claim("a", NOW) == (Claim.OURS, 1)
    assert second.claim("a", NOW) == (Claim.BUSY, 1)
    assert second.claim("a", NOW + BROKEN_OFF) == (Claim.UNKNOWN, 1)
    assert first.settle("a", 1, "retrying", NOW, used=False)
    assert second.claim("a", NOW) == (Claim.OURS, 1)
    assert not first.settle("a", 2, "settled", NOW)
    assert second.settle("a", 1, "settled", NOW)
    assert first.claim("a", NOW) == (Claim.SETTLED, 1)


def test_other_refusals_are_told(table: Any) -> None:
    """Only a condition that does not hold is an answer; anything else is a failure, whoever's client it came by."""
    with pytest.raises(AwsError):
        Ledger(Items(), "no-such-table").claim("a", NOW)
    assert is_taken(AwsError(400, "ConditionalCheckFailedException", "PutItem"))
    assert not is_taken(AwsError(400, "ResourceNotFoundException", "PutItem"))
    assert is_taken(ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem"))
    assert not is_taken(ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"))
