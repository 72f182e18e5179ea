import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.signers import RequestSigner

from common import aws
from common.aws import AwsClient, AwsError, Credentials, call_json, sign_headers

INSTANT = datetime(2026, 11, 21, 9, 30, 5, tzinfo=UTC)


class Script:
    """A server on 127.0.0.1 that answers as told: a status, or None for a connection that is dropped."""

    def __init__(self) -> None:
        self.answers: list[int | None] = []
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.body = b"{}"
        self.port = 0


@pytest.fixture
def script() -> Iterator[Script]:
    """A scripted server."""
    script = Script()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            script.requests.append((self.command, self.path, dict(self.headers.items()), body))
            status = script.answers.pop(0)
            if status is None:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("content-length", str(len(script.body)))
            self.end_headers()
            self.wfile.write(script.body)

        do_GET = do_PUT = do_POST = answer

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield script
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(script: Script, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsClient]:
    """A client of the scripted server, which does not wait between attempts."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{script.port}")
    client = AwsClient("s3", sleep=lambda _: None)
    yield client
    client.close()


@pytest.mark.parametrize("token", ["", "a token/with+signs="])
@pytest.mark.parametrize("key", ["raw/sparkpost/2026/11/21/09/0a1b", "odd key/ä%"])
def test_signature_is_botocores(monkeypatch: pytest.MonkeyPatch, key: str, token: str) -> None:
    """For the same request and time the signature is the one that AWS's own SDK makes."""
    path, host, body = "/" + quote(key, safe="/-_.~"), "bucket.s3.eu-central-1.amazonaws.com", b"[]"
    headers = {"content-type": "application/json", "if-none-match": "*", "x-amz-meta-provider": "sparkpost"}
    request = AWSRequest("PUT", f"https://{host}{path}", headers=headers, data=body)
    request.headers["host"] = host
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: INSTANT.replace(tzinfo=None))
    S3SigV4Auth(BotocoreCredentials("AKID", "secret", token or None), "s3", "eu-central-1").add_auth(request)
    ours = sign_headers(
        Credentials("AKID", "secret", token), "s3", "eu-central-1", "PUT", host, path, headers,
        request.headers["x-amz-content-sha256"], INSTANT,
    )  # fmt: skip
    assert ours["authorization"].replace(" ", "") == request.headers["authorization"].replace(" ", "")


def test_database_token_is_botocores(monkeypatch: pytest.MonkeyPatch) -> None:
    """The RDS log-in token is the one that AWS's own SDK makes."""
    from unittest.mock import Mock

    from botocore.model import ServiceId
    from botocore.signers import generate_db_auth_token

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a+token/=")
    credentials = BotocoreCredentials("AKID", "secret", "a+token/=")
    emitter = Mock(emit_until_response=Mock(return_value=(None, None)))
    signer = RequestSigner(ServiceId("RDS"), "eu-central-1", "rds-db", "v4", credentials, emitter)
    host = "db.example.eu-central-1.rds.amazonaws.com"
    sdk = Mock(_request_signer=signer, meta=Mock(region_name="eu-central-1"))
    expected = generate_db_auth_token(sdk, host, 5432, "mailwake_loader")
    signed_at = parse_qs(expected)["X-Amz-Date"][0]
    monkeypatch.setattr(aws, "now", lambda: datetime.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
    ours = aws.build_database_token(host, 5432, "mailwake_loader", "eu-central-1")
    assert sorted(ours.partition("?")[2].split("&")) == sorted(expected.partition("?")[2].split("&"))


@pytest.mark.parametrize("failure", [503, 500, 409, 429, None])
def test_passing_failures_are_tried_again(client: AwsClient, script: Script, failure: int | None) -> None:
    """Busy, racing and dropped requests are sent again, and the last answer counts."""
    script.answers = [failure, failure, 200]
    assert client.request("PUT", "/key", {}, b"body").status == 200
    assert [request[3] for request in script.requests] == [b"body"] * 3


def test_lasting_failure_is_given_back(client: AwsClient, script: Script) -> None:
    """After the last attempt the answer is given as it is."""
    script.answers = [503] * aws.ATTEMPTS
    assert client.request("GET", "/key", {}).status == 503


def test_refusal_is_not_tried_again(client: AwsClient, script: Script) -> None:
    """What AWS refuses for good is sent once."""
    script.answers = [403]
    assert client.request("GET", "/key", {}).status == 403
    assert len(script.requests) == 1


def test_unreachable_service_is_an_error(client: AwsClient, script: Script) -> None:
    """No answer at all is an `AwsError` without status."""
    script.answers = [None] * (2 * aws.ATTEMPTS)
    with pytest.raises(AwsError) as caught:
        client.request("GET", "/key", {})
    assert caught.value.status == 0


def test_connection_is_kept(client: AwsClient, script: Script) -> None:
    """Several requests go over one connection; one that was closed meanwhile is replaced without an attempt lost."""
    script.answers = [200, None, 200]
    client.request("GET", "/one", {})
    assert client.request("GET", "/two", {}).status == 200
    assert [request[1] for request in script.requests] == ["/one", "/two", "/two"]


def test_json_service_gives_its_answer(client: AwsClient, script: Script) -> None:
    """A JSON service is asked by its target, and its refusal carries its code but none of its message."""
    script.answers = [200, 400]
    script.body = b'{"Item": 1}'
    assert call_json(client, "DynamoDB_20120810.GetItem", {"a": 1}, version="1.0") == {"Item": 1}
    assert script.requests[0][2]["x-amz-target"] == "DynamoDB_20120810.GetItem"
    script.body = b'{"__type": "com.amazonaws#ResourceNotFoundException", "message": "secret thing"}'
    with pytest.raises(AwsError, match="400 ResourceNotFoundException") as caught:
        call_json(client, "DynamoDB_20120810.GetItem", {}, version="1.0")
    assert "secret thing" not in str(caught.value)


ENDPOINTS: list[tuple[dict[str, str], str]] = [
    ({"AWS_REGION": "eu-central-1"}, "https://bucket.s3.eu-central-1.amazonaws.com"),
    ({"AWS_REGION": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn"),
    ({"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
]


@pytest.mark.parametrize(("environment", "expected"), ENDPOINTS)
def test_endpoint_is_the_regions(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    """The endpoint is the bucket's own in its region, unless the environment names another."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = AwsClient("s3", host_prefix="bucket.")
    assert f"{'https' if client._secure else 'http'}://{client._host}" == expected
