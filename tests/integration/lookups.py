"""Asking the look-ups, for their tests."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from psycopg2.extensions import connection as Connection

from query_events.routing import READ_EVENTS, Caller, Route
from s3_loader.loading import Loader
from tests.integration.batches import LIMITS, make_batch, make_event
from tests.integration.requests import REP, make_request

BLIND = Caller("analyst", frozenset({READ_EVENTS}))

Load = Callable[..., None]


def make_loader(connection: Connection) -> Load:
    """Loads events, each call as a batch of its own."""
    keys = iter(range(100_000))
    loader = Loader()

    def load(*items: object) -> None:
        batch = make_batch([*items], key=f"raw/sparkpost/2026/11/21/12/{next(keys):05}")
        loader.load(connection, batch, LIMITS)

    return load


def tell(number: int, message: str | None, kind: str, age: float, **fields: Any) -> dict[str, Any]:
    """An event of a message, so many seconds before NOW; None: of none."""
    event_class = {"open": "track_event", "click": "track_event", "list_unsubscribe": "unsubscribe_event"}.get(kind)
    ids = {} if message is None else {"message_id": message}
    return make_event(str(number), event_class=event_class or "message_event", age=age, type=kind, **ids, **fields)


def ask(connection: Connection, route: Route, value: str = "", caller: Caller = REP, /, **given: str) -> dict[str, Any]:
    """The decoded answer; `value` is that of the path's variable."""
    variables = {item.name: value for item in route.inputs if f"{{{item.name}}}" in route.path}
    return make_request(connection, route, given, caller, **variables)


def walk(connection: Connection, route: Route, value: str = "", /, **given: str) -> list[dict[str, Any]]:
    """All pages, from link to link."""
    pages = [ask(connection, route, value, **given)]
    while (link := pages[-1]["links"].get("next")) and len(pages) < 1000:
        pages.append(ask(connection, route, value, **dict(parse_qsl(urlsplit(link).query))))
    return pages
