import pytest

from providers import UnverifiedError
from tests.unit.providers.payloads import Payload, list_payloads

PAYLOADS = [pytest.param(payload, id=payload.name) for payload in list_payloads("postmark") if payload.secrets]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_proof_is_demanded(payload: Payload) -> None:
    """What is sent passes with its secret beside an older one; without secrets or headers it is refused."""
    verify, request = payload.provider.verify, payload.request
    verify(request, ["an older one", *payload.secrets], payload.now)
    with pytest.raises(UnverifiedError):
        verify(request, [], payload.now)
    bare = request._replace(headers={"host": request.headers.get("host", "")}, path_secret="", body=b"{}")
    with pytest.raises(UnverifiedError):
        verify(bare, payload.secrets, payload.now)
