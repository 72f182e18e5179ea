"""The demonstration's receiver of webhooks takes what is signed, over TLS that its sender can check."""

import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.receiver import Receiver
from mailer.outgoing import ForbiddenTargetError, Outgoing
from mailer.webhooks import sign

SECRET = "whsec_" + base64.b64encode(b"a key of some length").decode()


def test_signed_webhook_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among others; the mailer reaches it only where its host is allowed and its certificate trusted."""
    with Receiver(tmp_path) as receiver:
        body = b'{"type": "cohort.changed"}'
        headers = sign("ntf-1-2-3", datetime.now(UTC), body, [SECRET])
        outgoing = Outgoing([receiver.host])
        with pytest.raises(ssl.SSLCertVerificationError):
            outgoing.post(receiver.url, body, headers)
        monkeypatch.setenv("SSL_CERT_FILE", str(receiver.certificate))
        with pytest.raises(ForbiddenTargetError):
            Outgoing().post(receiver.url, body, headers)
        assert outgoing.post(receiver.url, body, {}).status == 204
        assert receiver.await_signed(SECRET, 0.1) is None
        assert outgoing.post(receiver.url, body, headers).status == 204
        found = receiver.await_signed(SECRET, 5)
        assert found is not None
        assert (found.headers["webhook-id"], found.body) == ("ntf-1-2-3", body)
        assert receiver.await_signed("whsec_" + base64.b64encode(b"another").decode(), 0.1) is None
