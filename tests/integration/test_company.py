"""Which company a user is told to belong to."""

import pytest

from cohort_evaluator.company import read_companies
from common.events import Json
from tests.integration.conftest import Connect
from tests.integration.test_cohorts import World
from tests.integration.test_loading import select


@pytest.fixture
def world(connect: Connect) -> World:
    """An empty one."""
    return World(connect)


def read(world: World, *users: str) -> dict[str, Json | None]:
    """Each user's company."""
    rows = select(world.evaluator, "SELECT value, person_id FROM identities WHERE identity_type = 'user'")
    ids = {value: number for value, number in rows if value in users}
    with world.evaluator, world.evaluator.cursor() as cursor:
        found = read_companies(cursor, [ids[user] for user in users])
    return {user: found[ids[user]] for user in users}


def test_company_is_the_one_that_a_trait_names(world: World) -> None:
    """The newest write of it, with what is known of that company."""
    world.identify("group", 90, userId="ada", groupId="old")
    world.identify("group", 80, userId="ada", groupId="acme", traits={"plan": "pro"})
    world.call("ada", 50, company_id="client-of-acme")
    assert read(world, "ada") == {"ada": {"id": "acme", "traits": {"metadata": {"plan": "pro"}}}}


def test_company_is_else_that_of_the_newest_call(world: World) -> None:
    """Of several users at once; nobody knows of some."""
    world.call("ada", 50, company_id="acme")
    world.call("ada", 60, company_id="old")
    world.call("ada", 40)
    world.call("bob", 50)
    assert read(world, "ada", "bob") == {"ada": {"id": "acme", "traits": {}}, "bob": None}
