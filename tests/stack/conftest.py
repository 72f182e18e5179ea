"""One stack for all whole-stack tests. Each test uses recipients of its own, so that tests do not see each other."""

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.unit.authorizer.oidc_issuer import AUDIENCE, Issuer

# What fails comes back after seconds instead of minutes, and is given up sooner.
HASTE = {"LoadQueue.VisibilityTimeout": 2, "LoadQueue.RedrivePolicy.maxReceiveCount": 4}


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    """The issuer whose tokens the stack takes."""
    with Issuer() as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Stack]:
    """A running stack."""
    parameters = {
        "OidcIssuer": issuer.url,
        "OidcAudience": AUDIENCE,
        "CorsOrigins": "https://support.example.com",
        "QueryRate": 0,  # tests ask more often than clients
        "OidcScopeMap": "events:read=events:read,pii:read=pii:read,admin=admin",
    }
    with Stack(directory=tmp_path_factory.mktemp("stack"), parameters=parameters, overrides=HASTE) as running:
        yield running


@pytest.fixture(autouse=True)
def no_dead_letters(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may end with a batch given up: the right number of events is not enough."""
    yield
    if "stack" in request.fixturenames:
        running: Stack = request.getfixturevalue("stack")
        assert running.count_messages("LoadDeadLetterQueue") == 0
