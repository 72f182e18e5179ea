import json
from typing import Any, cast

import psycopg2
import psycopg2.errors
import pytest
from psycopg2.extensions import connection as Connection

from common.database import Database
from query_events import app
from query_events.rates import Rates
from query_events.routes import ROUTES
from query_events.routing import Request, Route, RouteTable

READER = {"name": "support", "scopes": "events:read", "refusal": ""}


class Backend:
    """Stands in for the database: raises what it is told, then answers."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.closed = 0

    def get(self) -> Connection:
        """As `Database.get`."""
        return cast("Connection", None)

    def close(self) -> None:
        """As `Database.close`."""
        self.closed += 1

    def answer(self, request: Request) -> bytes:
        """A route's answer."""
        request.connect()
        if self.failures:
            raise self.failures.pop(0)
        return json.dumps(request.given).encode()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """An API whose routes answer with what they were given."""
    backend = Backend()
    monkeypatch.setattr(app, "_database", lambda: cast("Database", backend))
    monkeypatch.setattr(app, "TABLE", RouteTable([route._replace(answer=backend.answer) for route in ROUTES]))
    return backend


def get(
    path: str = "/api/v1/events/message", query: str = "", caller: dict[str, str] | None = READER, method: str = "GET"
) -> tuple[int, dict[str, Any]]:
    """Sends a request as API Gateway hands it over; status and decoded body."""
    response = send(path, query, caller, method)
    return response["statusCode"], json.loads(response["body"])


def send(
    path: str = "/api/v1/events/message",
    query: str = "",
    caller: dict[str, str] | None = READER,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    """As `get`; the whole answer, as API Gateway takes it."""
    context: dict[str, Any] = {"http": {"method": method}}
    if caller is not None:
        context["authorizer"] = {"lambda": caller}
    event = {"requestContext": context, "rawPath": path, "rawQueryString": query, "headers": headers}
    return app.handler(event, None)


def test_parameters_are_decoded(backend: Backend) -> None:
    """Percent escapes and pluses are decoded; a slash at the end of the path does not count."""
    query = "recipients=a%2Bb%40x.com&from=2026-11-21T09%3A00&empty="
    expected = {"recipients": "a+b@x.com", "from": "2026-11-21T09:00", "empty": ""}
    assert get(query=query) == (200, expected)
    assert get(path="/api/v1/events/message/", query=query) == (200, expected)


CALLERS: list[tuple[dict[str, str] | None, int]] = [
    (None, 401),
    ({}, 401),
    ({"name": "", "scopes": "events:read", "refusal": "unauthorized"}, 401),
    ({"name": "support", "scopes": "events:read", "refusal": "unauthorized"}, 401),
    ({"name": "", "scopes": "", "refusal": "unavailable"}, 503),
    ({"name": "support", "scopes": "", "refusal": ""}, 403),
    ({"name": "support", "scopes": "{scope}er events:write", "refusal": ""}, 403),
    ({"name": "support", "scopes": "{scope}", "refusal": ""}, 200),
    ({"name": "owner", "scopes": "admin", "refusal": ""}, 200),
]


@pytest.mark.parametrize(("caller", "status"), CALLERS)
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_checks_its_caller(
    backend: Backend, route: Route, caller: dict[str, str] | None, status: int
) -> None:
    """401 gives no hint, 403 names the scope that a key or token lacks, 503 says that a token can't be checked now."""
    if caller and "scopes" in caller:
        caller = {**caller, "scopes": caller["scopes"].replace("{scope}", route.scope)}
    answer = get(route.path.replace("{", "").replace("}", ""), caller=caller)
    assert answer[0] == status
    if status == 403:
        assert route.scope in answer[1]["errors"][0]["description"]


def test_every_route_has_a_scope() -> None:
    """A route without a scope would be open to all."""
    assert all(route.scope for route in ROUTES)


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1", "/api/v1/events/message/x", ""])
def test_unknown_path_is_404(backend: Backend, path: str) -> None:
    """An unknown path has SparkPost's code, in the one error body."""
    status, body = get(path)
    assert (status, body["errors"][0]["code"]) == (404, "1101")
    assert set(body["errors"][0]) == {"message", "description", "code"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"])
def test_other_methods_are_405(backend: Backend, method: str) -> None:
    """The API is read only, and says which methods there are."""
    response = send(method=method)
    assert (response["statusCode"], json.loads(response["body"])["errors"][0]["code"]) == (405, "1102")
    assert response["headers"]["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_options_needs_no_key(backend: Backend, route: Route) -> None:
    """What may be asked is told to everybody: browsers send no key when they ask."""
    response = send(route.path, caller=None, method="OPTIONS")
    assert (response["statusCode"], response["headers"]["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "body" not in response


def test_options_of_nothing_is_404(backend: Backend) -> None:
    """Where nothing is, nothing may be asked."""
    assert send("/api/v1/nothing", caller=None, method="OPTIONS")["statusCode"] == 404


def test_head_is_answered_as_get(backend: Backend) -> None:
    """HEAD needs the key that GET needs, and has its headers."""
    assert send(method="HEAD") == send(method="GET")
    assert send(method="HEAD", caller=None)["statusCode"] == 401


def test_refusals_have_the_same_headers_as_answers(backend: Backend) -> None:
    """Errors are no less private than answers, and no less JSON."""
    common = {"cache-control", "content-type", "vary", "x-content-type-options"}
    for response in (send(), send(caller=None), send("/nothing"), send(method="PUT")):
        assert common <= set(response["headers"]), response
        assert response["headers"]["cache-control"] == "private, no-cache"


def test_unauthorized_names_the_scheme(backend: Backend) -> None:
    """A 401 says how to authenticate; Bearer, because browsers open a window of their own for Basic."""
    assert send(caller=None)["headers"]["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "query",
    [
        "%",
        "%zz=%f",
        "recipients=%ff%fe",
        "recipients=%00",
        "recipients=\ud800",
        "=&&&==",
        "a" * 9_000,
        "&".join(f"p{number}={number}" for number in range(2_000)),
    ],
)
def test_no_query_breaks_the_decoding(backend: Backend, query: str) -> None:
    """What can't be decoded arrives as U+FFFD; nothing reaches the database that it can't take."""
    status, given = get(query=query)
    assert status == 200
    texts = "".join([*given, *given.values()])
    assert "\0" not in texts
    texts.encode()


@pytest.mark.parametrize("path", ["/api/v1/%", "/%00", "/\0", "/\ud800", "//", "/api/v1/" + "x" * 5_000, "/%ff"])
def test_no_path_breaks_the_routes(backend: Backend, path: str) -> None:
    """A path that can't be decoded is one where nothing is."""
    assert get(path)[0] == 404


@pytest.mark.parametrize("missing", [{}, {"headers": None}])
def test_request_without_headers_is_answered(backend: Backend, missing: dict[str, None]) -> None:
    """API Gateway leaves out what is empty."""
    context = {"http": {"method": "GET"}}
    response = app.handler({"requestContext": context, "rawPath": "/x", **missing}, None)
    assert response["statusCode"] == 404


def test_our_own_mistake_is_500_in_the_error_body(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets the one error body; the log names the place, and neither has the exception's text."""
    backend.failures = [ValueError("no such address: ada@example.com")]
    status, body = get()
    assert (status, body["errors"][0]["code"]) == (500, "500")
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.message == "failed"  # template.yaml counts these
    assert vars(record)["error"] == "ValueError"
    assert any("test_app.py" in place for place in vars(record)["where"])
    assert "ada" not in str(body) + str(vars(record)) + caplog.text


@pytest.mark.parametrize("status", [200, 401])
def test_fault_of_the_log_loses_no_answer(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Where the line for a request can't be written, the client still has its answer, and the fault is logged."""
    monkeypatch.setattr(app, "log_request", lambda *_: int("no number"))
    assert send(caller=READER if status == 200 else None)["statusCode"] == status
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.message, vars(record)["error"]) == ("failed", "ValueError")


def test_answer_that_cannot_be_sent_is_500(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is no text is our mistake too, and has the one error body."""
    monkeypatch.setattr(backend, "answer", lambda _request: b"\xff")
    monkeypatch.setattr(app, "TABLE", RouteTable([route._replace(answer=backend.answer) for route in ROUTES]))
    assert get()[0] == 500


def test_broken_connection_is_replaced(backend: Backend) -> None:
    """A kept connection that the server closed meanwhile costs nobody an error."""
    backend.failures = [psycopg2.OperationalError("server closed the connection unexpectedly")]
    assert get()[0] == 200
    assert backend.closed == 1


def test_unreachable_database_is_503(backend: Backend) -> None:
    """While the database is down the answer says so, without its text."""
    backend.failures = [psycopg2.OperationalError("connection to server at 10.0.0.1 failed")] * 2
    status, body = get()
    assert status == 503
    assert "10.0.0.1" not in str(body)


def test_slow_search_says_what_to_do(backend: Backend) -> None:
    """A search that the database gave up is told how to be quicker."""
    backend.failures = [psycopg2.errors.QueryCanceled()]
    status, body = get()
    assert status == 503
    assert "Narrow the range" in body["errors"][0]["description"]


def test_log_holds_no_parameters(backend: Backend, caplog: pytest.LogCaptureFixture) -> None:
    """Who asked is logged, for whom is not."""
    caplog.set_level("INFO", logger="query_events.access_log")
    get(query="recipients=ada%40example.com")
    (record,) = caplog.records
    assert vars(record)["caller"] == "support"
    assert "ada" not in str(vars(record))


@pytest.mark.usefixtures("backend")
def test_too_many_requests_have_sparkposts_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the rate of one caller: a 429 with the text that SparkPost's clients compare, and how long to wait."""
    rates = Rates(1)
    monkeypatch.setattr(app, "get_rates", lambda: rates)
    responses = [send() for _ in range(3)]
    assert [response["statusCode"] for response in responses] == [200, 200, 429]
    (error,) = json.loads(responses[2]["body"])["errors"]
    assert error["message"] == "Too many requests"
    assert responses[2]["headers"]["retry-after"] == "1"
    assert send(caller={**READER, "name": "another"})["statusCode"] == 200
