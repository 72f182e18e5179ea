"""Webhooks of providers that are mappings."""

import logging
from pathlib import Path
from typing import cast

import pytest

from common.errors import ApiError
from common.objects import Bucket
from common.secrets import NamedSecrets
from providers import _mapping, find_provider
from tests.unit.providers.payloads import list_payloads
from tests.unit.webhook_listener.fakes import FakeBucket, FakeSecrets
from webhook_listener.receiving import Receiver

PAYLOAD = list_payloads("acme_mail")[0]


def build(bucket: FakeBucket, unsigned: frozenset[str] = frozenset(), **secrets: list[str]) -> Receiver:
    """A receiver with stand-ins for AWS."""
    return Receiver(
        bucket=cast("Bucket", bucket),
        secrets=cast("NamedSecrets", FakeSecrets(**secrets)),
        unsigned=unsigned,
        clock=lambda: PAYLOAD.now,
    )


def test_body_is_stored_under_the_name_of_the_mapping() -> None:
    """A webhook whose signature is right is stored like any other provider's."""
    bucket = FakeBucket()
    assert build(bucket, acme_mail=PAYLOAD.secrets).receive(PAYLOAD.request, "request-1").status == 200
    ((key, (body, metadata)),) = bucket.objects.items()
    assert key.startswith("raw/acme_mail/2026/11/21/09/")
    assert (body, metadata["provider"]) == (PAYLOAD.body, "acme_mail")


def test_without_a_secret_it_is_refused_unless_it_may_be_unsigned() -> None:
    """A mapping without a secret lets nobody in, but for a trial."""
    bucket = FakeBucket()
    with pytest.raises(ApiError) as refusal:
        build(bucket).receive(PAYLOAD.request, "request-1")
    assert refusal.value.status == 401
    build(bucket, frozenset({"acme_mail"})).receive(PAYLOAD.request._replace(headers={}), "request-1")
    assert len(bucket.objects) == 1


def test_wrong_mapping_makes_the_sender_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A mapping that is wrong is our mistake: 503, and the log says where it is."""
    (tmp_path / "some_esp.json").write_text("{}")
    monkeypatch.setattr(_mapping, "FOLDER", tmp_path)
    find_provider.cache_clear()
    with caplog.at_level(logging.ERROR), pytest.raises(ApiError) as refusal:
        build(FakeBucket()).receive(PAYLOAD.request._replace(provider="some_esp"), "request-1")
    assert refusal.value.status == 503
    assert "some_esp.json: the mapping: proof is missing" in caplog.text
