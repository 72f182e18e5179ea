import json

from common.errors import ApiError
from common.responses import build_error, build_json


def test_error_body_is_the_one() -> None:
    """`{"errors":[{"message","description","code"}]}`; the code is the status where there is no other."""
    response = build_error(ApiError(404, "Not found", "Look elsewhere."), {"x-a": "b"})
    assert response["statusCode"] == 404
    assert response["headers"] == {"content-type": "application/json", "x-a": "b"}
    assert json.loads(response["body"]) == {
        "errors": [{"message": "Not found", "description": "Look elsewhere.", "code": "404"}]
    }


def test_json_is_short_and_utf_8() -> None:
    """No spaces, no escapes that are not needed."""
    assert build_json(200, {"a": ["é"]})["body"] == '{"a":["é"]}'
