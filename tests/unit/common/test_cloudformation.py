import http.server
import json
import threading

from common.cloudformation import FAILED, answer_cloudformation


def test_answer_is_put_to_the_url() -> None:
    """CloudFormation gets its ids back, a reason that fits, and an empty content type, as the URL was signed for."""
    seen: list[tuple[str, str, bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, self.headers["content-type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/answer?signed=1"
        event = {"ResponseURL": url, "StackId": "s", "RequestId": "r", "LogicalResourceId": "Schema"}
        answer_cloudformation(event, FAILED, reason="x" * 5000)
        thread.join()
    ((path, content_type, body),) = seen
    answer = json.loads(body)
    assert (path, content_type) == ("/answer?signed=1", "")
    assert (answer["Status"], answer["PhysicalResourceId"], len(answer["Reason"])) == ("FAILED", "Schema", 1000)
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == ("s", "r", "Schema")
