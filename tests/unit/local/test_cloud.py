"""From the template's words to AWS's API."""

import json
import string

from local.cloud import generate_secret, notification_for_api


def test_notification() -> None:
    """A bucket's notification keeps its queue, its event and its filter."""
    declared = {
        "Event": "s3:ObjectCreated:*",
        "Queue": "arn:queue",
        "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "raw/"}]}},
    }
    assert notification_for_api(declared) == {
        "QueueArn": "arn:queue",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "raw/"}]}},
    }


def test_generated_secret_has_the_asked_form() -> None:
    """The generated password is put into the object, of the length and letters that were asked for."""
    asked = {
        "SecretStringTemplate": '{"user": "x"}',
        "GenerateStringKey": "sparkpost",
        "PasswordLength": 40,
        "ExcludePunctuation": True,
    }
    secret = json.loads(generate_secret(asked))
    assert secret["user"] == "x"
    assert len(secret["sparkpost"]) == 40
    assert set(secret["sparkpost"]) <= set(string.ascii_letters + string.digits)


def test_generated_secret_avoids_characters() -> None:
    """Excluded characters do not occur; two secrets differ."""
    asked = {"PasswordLength": 200, "ExcludeCharacters": "abc\"'"}
    assert not set(generate_secret(asked)) & set("abc\"'")
    assert generate_secret(asked) != generate_secret(asked)
