"""One stack for all whole-stack tests. Each test uses recipients of its own, so that tests do not see each other."""

from collections.abc import Iterator

import pytest

from local.stack import Stack

# What fails comes back after seconds instead of minutes, and is given up sooner.
HASTE = {"LoadQueue.VisibilityTimeout": 2, "LoadQueue.RedrivePolicy.maxReceiveCount": 4}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack."""
    with Stack(directory=tmp_path_factory.mktemp("stack"), overrides=HASTE) as running:
        yield running


@pytest.fixture(autouse=True)
def no_dead_letters(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may end with a batch given up: the right number of events is not enough."""
    yield
    if "stack" in request.fixturenames:
        running: Stack = request.getfixturevalue("stack")
        assert running.count_messages("LoadDeadLetterQueue") == 0
