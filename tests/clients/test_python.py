"""PyPI's `sparkpost`, which has no search of its own: its users derive one from its `Resource`."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sparkpost.base import RequestsTransport, Resource
from sparkpost.exceptions import SparkPostAPIException

from local.stack import Stack
from tests.clients.conftest import EVENTS, Traffic


class Events(Resource):  # type: ignore[misc] # the client ships no types
    """The search in its current dialect."""

    key = "events/message"


class MessageEvents(Resource):  # type: ignore[misc]
    """The search in its old dialect."""

    key = "message-events"


class WholeBody(RequestsTransport):  # type: ignore[misc]
    """A transport of the user's own, for who needs the links: the client's gives results only."""

    def request(self, method: str, uri: str, headers: dict[str, str], **given: Any) -> Any:
        """The whole body of an answer."""
        response = self.sess.request(method, uri, headers=headers, **given)
        response.raise_for_status()
        return response.json()


@pytest.mark.parametrize("resource", [Events, MessageEvents])
def test_resource_gives_results(stack: Stack, traffic: Traffic, resource: type[Resource]) -> None:
    """`Resource.request` gives the list of results, here all events of two types."""
    client = resource(stack.api_url, stack.api_key)
    params = {
        "events": "bounce,click",
        "from": f"{traffic.begin:%Y-%m-%dT%H:%M}",
        "to": f"{traffic.end:%Y-%m-%dT%H:%M}",
        "per_page": 10000,
    }
    results = client.request("GET", client.uri, params=params)
    assert sorted(result["event_id"] for result in results) == traffic.ids("bounce", "click")


def test_pages_by_number(stack: Stack, traffic: Traffic) -> None:
    """Without links a user of the old dialect counts pages until one is empty: each event comes exactly once."""
    client = MessageEvents(stack.api_url, stack.api_key)
    params = {"from": f"{traffic.begin:%Y-%m-%dT%H:%M}", "to": f"{traffic.end:%Y-%m-%dT%H:%M}", "per_page": 1000}
    found: list[str] = []
    for page in range(1, 10):
        results = client.request("GET", client.uri, params={**params, "page": page})
        found += (result["event_id"] for result in results)
        if not results:
            break
    assert sorted(found) == traffic.ids()


def test_links_by_a_transport_of_its_own(stack: Stack, traffic: Traffic) -> None:
    """A link's parameters may be taken apart and sent again: each event comes exactly once."""
    client = Events(stack.api_url, stack.api_key, WholeBody)
    params: dict[str, Any] = {"from": f"{traffic.begin:%Y-%m-%dT%H:%M:%SZ}", "per_page": 1500, "cursor": "initial"}
    params["to"] = f"{traffic.end:%Y-%m-%dT%H:%M:%SZ}"
    found: list[str] = []
    while params:
        body = client.request("GET", client.uri, params=params)
        assert body["total_count"] == EVENTS
        found += (result["event_id"] for result in body["results"])
        params = dict(parse_qsl(urlsplit(body["links"].get("next", "")).query))
    assert sorted(found) == traffic.ids()


def test_resource_of_the_documentation(stack: Stack) -> None:
    """A key with a longer path reaches the documentation."""
    client = Resource(stack.api_url, stack.api_key)
    client.key = "events/message/documentation"
    results = client.request("GET", client.uri)
    assert {"type", "timestamp"} <= set(results[0])


def test_refusals_are_the_clients_error(stack: Stack) -> None:
    """A value that can't be read and a wrong key become `SparkPostAPIException` with message, code and description."""
    client = Events(stack.api_url, stack.api_key)
    with pytest.raises(SparkPostAPIException, match="per_page") as refused:
        client.request("GET", client.uri, params={"per_page": "0"})
    assert refused.value.status == 400
    assert refused.value.errors[0].startswith("Invalid parameters Code: 1200 Description: per_page")
    with pytest.raises(SparkPostAPIException, match="Unauthorized") as unauthorized:
        Events(stack.api_url, "mw_wrong").request("GET", client.uri)
    assert unauthorized.value.status == 401
