import base64
import gzip
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ApiError
from query_events import answers
from query_events.answers import Answer, accepts_gzip, answer_error, build_response, matches_etag

LONG = json.dumps({"results": ["é"] * 1_000}, ensure_ascii=False).encode()


@pytest.fixture
def origins(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Lets a test say whose pages may ask."""
    answers._origins.cache_clear()
    yield monkeypatch
    answers._origins.cache_clear()


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("gzip ; q=0.5", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("identity, gzip;q=0.5", False),
        ("gzip;q=one", False),
        ("gzip;q=nan", False),
        (",;,=;q", False),
    ],
)
def test_gzip_is_taken_as_asked(header: str, *, accepted: bool) -> None:
    """Weights count: 0 refuses, and no encoding is used where the client likes that better."""
    assert accepts_gzip(header) is accepted


@given(st.text())
def test_no_header_breaks_the_reading(header: str) -> None:
    """Whatever a client sends, it gets an answer."""
    accepts_gzip(header)
    matches_etag(header, 'W/"x"')


def test_long_answer_is_compressed_where_asked() -> None:
    """Base64 of gzip, as API Gateway takes what is no text."""
    response = build_response(Answer(200, LONG), {"accept-encoding": "gzip"})
    assert response["headers"]["content-encoding"] == "gzip"
    assert response["isBase64Encoded"] is True
    assert gzip.decompress(base64.b64decode(response["body"])) == LONG


def test_answer_is_plain_where_not_asked() -> None:
    """A client that does not say so gets no gzip; caches are told that it depends."""
    response = build_response(Answer(200, LONG), {})
    assert response["body"].encode() == LONG
    assert "content-encoding" not in response["headers"]
    assert "accept-encoding" in response["headers"]["vary"]


def test_short_answer_is_not_compressed() -> None:
    """Below a kilobyte nothing is saved."""
    response = build_response(Answer(200, b"{}"), {"accept-encoding": "gzip"})
    assert response["body"] == "{}"


def test_long_error_is_compressed_too() -> None:
    """Errors are answers like others."""
    answer = answer_error(ApiError(400, "Invalid parameters", "x" * 2_000))
    assert build_response(answer, {"accept-encoding": "gzip"})["headers"]["content-encoding"] == "gzip"


def test_error_may_name_any_text() -> None:
    """A description quotes what the client sent, even if UTF-8 can't say it."""
    body = build_response(answer_error(ApiError(400, "Invalid", "\ud800é")), {})["body"]
    assert json.loads(body)["errors"] == [{"message": "Invalid", "description": "\ud800é", "code": "400"}]


def test_same_answer_is_not_sent_again() -> None:
    """Who has it already gets 304 without a body, compressed or not."""
    tagged = Answer(200, LONG, etag=True)
    etag = build_response(tagged, {})["headers"]["etag"]
    assert build_response(tagged, {"accept-encoding": "gzip"})["headers"]["etag"] == etag
    again = build_response(tagged, {"if-none-match": f'"x", {etag}'})
    assert again["statusCode"] == 304
    assert "body" not in again
    assert again["headers"]["etag"] == etag
    assert "content-type" not in again["headers"]


def test_other_answer_is_sent() -> None:
    """Another content has another tag."""
    etag = build_response(Answer(200, b"{}", etag=True), {})["headers"]["etag"]
    assert build_response(Answer(200, b"[]", etag=True), {"if-none-match": etag})["statusCode"] == 200


@pytest.mark.parametrize("answer", [Answer(200, b"{}"), Answer(404, b"{}", etag=True)])
def test_only_what_is_tagged_has_a_tag(answer: Answer) -> None:
    """Searches, whose answers change all the time, and errors have none."""
    response = build_response(answer, {"if-none-match": "*"})
    assert response["statusCode"] == answer.status
    assert "etag" not in response["headers"]


@pytest.mark.parametrize(
    ("header", "matches"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ("", False), ('"b"', False), ("a", False)],
)
def test_tags_are_compared_weakly(header: str, *, matches: bool) -> None:
    """Strong or weak does not matter for If-None-Match."""
    assert matches_etag(header, 'W/"a"') is matches


PREFLIGHT = {"origin": "https://a.example.com", "access-control-request-method": "GET"}


@pytest.mark.parametrize(
    ("setting", "asked", "allowed"),
    [
        ("", "https://a.example.com", None),
        ("https://a.example.com", "https://a.example.com", "https://a.example.com"),
        ("https://b.example.com,https://a.example.com", "https://a.example.com", "https://a.example.com"),
        ("https://b.example.com", "https://a.example.com", None),
        ("https://b.example.com", "none", None),
        ("https://a.example.com", "https://a.example.com.evil.org", None),
        ("*", "https://a.example.com", "https://a.example.com"),
        ("*", "", None),
    ],
)
def test_origins_are_let_in_as_set(origins: pytest.MonkeyPatch, setting: str, asked: str, allowed: str | None) -> None:
    """Only pages of the origins of the setting may read answers, errors too; caches are told that it depends."""
    origins.setenv("CORS_ORIGINS", setting)
    for status in (200, 401):
        headers = build_response(Answer(status, b"{}"), {"origin": asked})["headers"]
        assert headers.get("access-control-allow-origin") == allowed
        assert ("origin" in headers["vary"]) is bool(setting)
        assert "access-control-allow-credentials" not in headers


def test_preflight_names_methods_and_headers(origins: pytest.MonkeyPatch) -> None:
    """A browser is told that it may send the key, and how long it need not ask again."""
    origins.setenv("CORS_ORIGINS", "https://a.example.com")
    headers = build_response(answers.answer_options(), PREFLIGHT)["headers"]
    assert headers["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "authorization" in headers["access-control-allow-headers"]
    assert headers["access-control-max-age"] == "7200"


def test_preflight_of_a_stranger_allows_nothing(origins: pytest.MonkeyPatch) -> None:
    """Without the headers the browser does not ask on."""
    origins.setenv("CORS_ORIGINS", "https://b.example.com")
    response = build_response(answers.answer_options(), PREFLIGHT)
    assert not [name for name in response["headers"] if name.startswith("access-control")]
