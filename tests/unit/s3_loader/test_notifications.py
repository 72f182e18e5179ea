import json

import pytest

from s3_loader.notifications import Notification, read_notification


def build(key: str, name: str = "ObjectCreated:Put") -> str:
    """S3's message about one object."""
    record = {"eventName": name, "s3": {"bucket": {"name": "raw"}, "object": {"key": key}}}
    return json.dumps({"Records": [record]})


def test_keys_are_decoded() -> None:
    """S3 encodes keys like form fields."""
    assert read_notification(build("raw/a+b%2Bc%C3%A4")) == [Notification("raw", "raw/a b+cä", replay=False)]


def test_replay_is_told_by_its_name() -> None:
    """A replay's message is S3's with another event name."""
    assert read_notification(build("raw/x", "Replay"))[0].replay


def test_test_message_tells_of_nothing() -> None:
    """What S3 sends when notifications are set up loads nothing."""
    assert read_notification('{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"raw"}') == []


@pytest.mark.parametrize(
    "body", ["", "x", "{}", '{"Records": [{}]}', '{"Records": null}', build("k").replace("key", "kee")]
)
def test_anything_else_is_an_error(body: str) -> None:
    """A message of another form fails its record, which ends in the dead-letter queue."""
    with pytest.raises(ValueError):
        read_notification(body)
