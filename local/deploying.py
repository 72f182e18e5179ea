"""What CloudFormation does with custom resources, and Lambda's Invoke API, by which functions call each other."""

import base64
import json
import queue
import threading
import urllib.parse
import uuid
from typing import Any

from local.declared import CustomResource
from local.template import ACCOUNT_ID, REGION
from local.web import Request, Response, WebServer
from local.workers import FunctionPool, PoolLookup

INVOKE_PREFIX = "/2015-03-31/functions/"
CUSTOM_RESOURCE_PATIENCE_S = 120.0


class DeployError(Exception):
    """A custom resource failed, as a deploy would."""


class ControlServer:
    """Answers Lambda's Invoke API, and takes custom resources' answers."""

    def __init__(self, pools: PoolLookup, names: dict[str, str]) -> None:
        self._pools = pools
        self._logical_ids = {name: logical_id for logical_id, name in names.items()}
        self._answers: dict[str, queue.Queue[dict[str, Any]]] = {}
        self._server = WebServer(self._answer)
        self._server.start("lambda api")
        self.url = self._server.url

    def close(self) -> None:
        """Stops listening."""
        self._server.stop()

    def _answer(self, request: Request) -> Response:
        path = urllib.parse.unquote(request.target.partition("?")[0])
        if request.method == "POST" and path.startswith(INVOKE_PREFIX) and path.endswith("/invocations"):
            return self._invoke(path.removeprefix(INVOKE_PREFIX).removesuffix("/invocations"), request)
        token = path.rpartition("/")[2]
        if request.method == "PUT" and token in self._answers:
            self._answers[token].put(json.loads(request.body))
            return Response()
        return Response(status=404)

    def _invoke(self, name: str, request: Request) -> Response:
        if name.startswith("arn:"):
            name = name.split(":")[6]
        logical_id = self._logical_ids.get(name.split(":")[0])
        if logical_id is None:
            body = json.dumps({"Type": "User", "Message": f"Function not found: {name}"}).encode()
            return Response(status=404, headers=[("X-Amzn-ErrorType", "ResourceNotFoundException")], body=body)
        pool = self._pools(logical_id)
        event = request.body or b"{}"
        if request.headers.get("X-Amz-Invocation-Type") == "Event":
            threading.Thread(target=pool.invoke, args=(event,), daemon=True).start()
            return Response(status=202)
        result = pool.invoke(event)
        assert result is not None
        headers = [("Content-Type", "application/json"), ("X-Amz-Executed-Version", "$LATEST")]
        if result.error is not None:
            headers.append(("X-Amz-Function-Error", result.error))
        if request.headers.get("X-Amz-Log-Type") == "Tail":
            headers.append(("X-Amz-Log-Result", base64.b64encode(b"see the local log").decode()))
        return Response(headers=headers, body=result.payload)

    def create(self, resource: CustomResource, pool: FunctionPool, *, stack_name: str) -> dict[str, Any]:
        """Creates one custom resource and gives its answer. Raises DeployError with the reason if it fails."""
        token = uuid.uuid4().hex
        answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers[token] = answers
        event = {
            "RequestType": "Create",
            "ResponseURL": f"{self.url}/custom-resource/{token}",
            "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{stack_name}/local",
            "RequestId": str(uuid.uuid4()),
            "ResourceType": resource.resource_type,
            "LogicalResourceId": resource.logical_id,
            "ResourceProperties": dict(resource.properties),
        }
        result = pool.invoke(json.dumps(event).encode())
        try:
            if result is not None and result.error is not None and answers.empty():
                reason = result.payload.decode(errors="replace")
                raise DeployError(f"{resource.logical_id}: {resource.function} failed: {reason}")
            answer = answers.get(timeout=CUSTOM_RESOURCE_PATIENCE_S)
        except queue.Empty:
            waited = f"{CUSTOM_RESOURCE_PATIENCE_S:.0f} s"
            raise DeployError(f"{resource.logical_id}: {resource.function} gave no answer within {waited}") from None
        finally:
            del self._answers[token]
        if answer.get("Status") != "SUCCESS":
            raise DeployError(f"{resource.logical_id}: {answer.get('Reason', 'no reason given')}")
        return answer
