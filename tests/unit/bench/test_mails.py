"""The mailer against a SES that throttles, in small: several processes, real connections (`make bench-mails`)."""

import pytest

from bench.mail_cloud import Ses, Tables
from bench.mails import Deferred, Measured, list_figures, measure_quota, measure_rate


def test_send_rate_is_used_and_nothing_is_lost() -> None:
    """By all processes that the template allows together; what is throttled uses up no attempt."""
    measured = measure_rate(30, seconds=4, warm_up=1)
    assert measured.processes == 4
    assert measured.used >= 0.9
    assert measured.worst <= 30
    assert (measured.lost, measured.twice, measured.burnt) == (0, 0, 0)


def test_what_a_full_day_has_no_room_for_waits() -> None:
    """Unclaimed, with all of its attempts, for most of an hour at least; the next day it goes."""
    day = measure_quota(count=24, quota=10)
    assert day == Deferred(24, 10, 10, 14, day.shortest_pause, 14)
    assert day.shortest_pause >= 2_400


def test_a_rate_that_is_not_used_falls_short() -> None:
    """And so does a mail that is lost, or whose attempts are used up."""
    good = Measured(14, 4, 0.9, 3, 14, 0, 0, 0)
    assert {figure.verdict for figure in list_figures(good)} == {"ok", ""}
    for bad in (good._replace(used=0.89), good._replace(lost=1), good._replace(twice=1), good._replace(burnt=1)):
        assert [figure.verdict for figure in list_figures(bad)].count("FALLS SHORT") == 1


def test_stand_in_throttles_in_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the clock's seconds: at whichever moment one begins there are no more than the rate."""
    now = [100.0]
    monkeypatch.setattr("bench.mail_cloud.time.monotonic", lambda: now[0])
    ses = Ses()
    ses.rate = 2

    def send() -> int:
        tags = [{"Name": "mailwake-id", "Value": "m"}]
        return ses.send({"Destination": {"ToAddresses": ["a@example.com"]}, "EmailTags": tags}).status

    statuses = []
    for at in (100.0, 100.9, 100.95, 101.05, 101.5, 101.95, 102.0):
        now[0] = at
        statuses.append(send())
    assert statuses == [200, 200, 429, 200, 429, 200, 429]
    assert (ses.throttled, ses.worst) == (3, 2)


def test_stand_in_judges_conditions() -> None:
    """As DynamoDB does, with names and values put in."""
    tables = Tables()

    def put(condition: str, written: str, **values: str) -> int:
        item = {"id": {"S": "a"}, "state": {"S": written}, "attempt": {"N": "1"}}
        given = {f":{name}": {"N" if value.isdigit() else "S": value} for name, value in values.items()}
        names = {"#state": "state"} if "#state" in condition else {}
        request = {"TableName": "t", "Item": item, "ConditionExpression": condition}
        return tables.call(
            "PutItem", {**request, "ExpressionAttributeNames": names, "ExpressionAttributeValues": given}
        ).status

    assert put("attribute_not_exists(id)", "claimed") == 200
    assert put("attribute_not_exists(id)", "claimed") == 400
    assert put("#state = :state AND attempt = :before", "x", state="claimed", before="2") == 400
    assert put("#state = :state AND attempt = :before", "settled", state="claimed", before="1") == 200
    assert put("attribute_not_exists(id) OR attempt < :before", "x", before="1") == 400
    assert put("attempt BETWEEN :low AND :high", "x", low="1", high="2") == 200
