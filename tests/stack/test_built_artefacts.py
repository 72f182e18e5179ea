"""The artefacts that `sam build` made run as well as the work tree does."""

import platform
from collections.abc import Iterator

import pytest

from local.stack import Stack
from local.state import PROJECT
from tests.stack.client import await_events, make_event, make_recipient, post, query

BUILD = PROJECT / ".aws-sam" / "build"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that runs from .aws-sam/build."""
    if not (BUILD / "template.yaml").exists():
        pytest.fail("there is no .aws-sam/build: run `make build ARCH=x86_64` first, as make check does")
    if not list(BUILD.glob(f"*/python/psycopg2/*{platform.machine()}*.so")):
        pytest.skip(f".aws-sam/build is not for this machine ({platform.machine()})")
    with Stack(code=BUILD, directory=tmp_path_factory.mktemp("built")) as running:
        yield running


@pytest.mark.build
def test_built_stack_answers(built: Stack) -> None:
    """A posted event is loaded and returned by the built functions, which see nothing but their artefact and layers."""
    recipient = make_recipient()
    event = make_event(recipient)
    assert post(built, [event, "broken"]) == 200
    await_events(built, recipient, 1)
    (found,) = query(built, recipient)
    assert found["event_id"] == event["msys"]["message_event"]["event_id"]
    for logical_id, pool in built.pools.items():
        assert pool.function.code.is_relative_to(BUILD), logical_id
