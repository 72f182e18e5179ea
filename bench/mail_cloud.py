"""Stands in for AWS while mails are measured: SES with its limits, and as much of the others as the mailer asks for.

Run as `python -m bench.mail_cloud`; it prints its port. It answers over HTTP, in the words of each service, after about
the time that the service itself takes. moto, which the local stack has, is exact but answers some hundred requests a
second; the mailer makes eight for a mail. SES is stricter than the real one, which bears short bursts: in no second, at
whichever moment it begins, are there more mails than the send rate.

`/queue/…` plays Lambda's poller of the mail queue, `/control` sets limits and tells what happened.
"""

import asyncio
import itertools
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

SECONDS: Final = {"ses": 0.08, "s3": 0.025, "dynamodb": 0.006, "secretsmanager": 0.02, "sqs": 0.01, "own": 0.0}
BUCKET: Final = "outbox"
POLL_SECONDS: Final = 1.0
Json = dict[str, Any]
_TERM = re.compile(
    r"attribute_not_exists\(#?(?P<absent>\w+)\)|#?(?P<inner>\w+) BETWEEN (?P<low>:\w+) AND (?P<high>:\w+)"
    r"|#?(?P<name>\w+) (?P<operator>=|<=|>=|<|>) (?P<value>:\w+)"
)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": lambda left, right: left == right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


def answer(value: object, status: int = 200, **headers: str) -> Reply:
    """An answer in JSON."""
    given = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(status, json.dumps(value).encode(), given)


class Ses:
    """Takes `rate` recipients in any second, and `quota` in all."""

    def __init__(self) -> None:
        self.rate, self.quota = 14, 1_000_000
        self.taken: list[tuple[float, str]] = []  # when, and the outbox's id
        self.throttled = 0
        self.refused = 0  # as the day was full
        self.worst = 0  # in one second
        self._second: deque[float] = deque()

    def send(self, request: Json) -> Reply:
        """SendEmail."""
        now, count = time.monotonic(), len(request["Destination"]["ToAddresses"])
        while self._second and self._second[0] <= now - 1:
            self._second.popleft()
        if len(self.taken) + count > self.quota:
            self.refused += 1
            return refuse_mail("Daily message quota exceeded.")
        if len(self._second) + count > self.rate:
            self.throttled += 1
            return refuse_mail("Maximum sending rate exceeded.")
        tags = {tag["Name"]: tag["Value"] for tag in request["EmailTags"]}
        self._second.extend([now] * count)
        self.worst = max(self.worst, len(self._second))
        self.taken.append((now, tags["mailwake-id"]))
        return answer({"MessageId": f"ses-{len(self.taken)}"})

    def tell_account(self) -> Reply:
        """GetAccount."""
        return answer({"SendQuota": {"MaxSendRate": self.rate, "Max24HourSend": self.quota}, "SendingEnabled": True})


def refuse_mail(text: str) -> Reply:
    """SES's refusal for now."""
    return answer({"message": text}, 429, x_amzn_errortype="TooManyRequestsException")


class Tables:
    """DynamoDB: items of any table by their keys, and the few expressions that the mailer uses."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Json]] = {}

    def call(self, action: str, request: Json) -> Reply:
        """One action."""
        table = self.items.setdefault(request["TableName"], {})
        if action == "Query":
            return answer({"Items": []})
        key = (request.get("Key") or request.get("Item", {}))["id"]["S"]
        item = table.get(key, {})
        if action == "GetItem":
            return answer({"Item": item} if item else {})
        if not self._holds(request, item):
            return answer({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}, 400)
        if action == "PutItem":
            table[key] = request["Item"]
            return answer({})
        table[key] = {**request["Key"], **item, **self._update(request, item)}
        return answer({"Attributes": table[key]})

    def _holds(self, request: Json, item: Json) -> bool:
        names = request.get("ExpressionAttributeNames", {})
        values = {name: _read(value) for name, value in request.get("ExpressionAttributeValues", {}).items()}
        known = {f"#{name}".removeprefix("#"): _read(value) for name, value in item.items()}
        known |= {short.removeprefix("#"): known[name] for short, name in names.items() if name in known}

        def judge(term: re.Match[str]) -> str:
            if term["absent"]:
                return str(term["absent"] not in known)
            if term["inner"]:
                return str(
                    term["inner"] in known and values[term["low"]] <= known[term["inner"]] <= values[term["high"]]
                )
            found = known.get(term["name"])
            return str(found is not None and _COMPARE[term["operator"]](found, values[term["value"]]))

        judged = _TERM.sub(judge, request.get("ConditionExpression", "True"))
        return any(all(term == "True" for term in each.split(" AND ")) for each in judged.split(" OR "))

    def _update(self, request: Json, item: Json) -> Json:
        names, values = request.get("ExpressionAttributeNames", {}), request["ExpressionAttributeValues"]
        changed: Json = {}
        for part in request["UpdateExpression"].removeprefix("SET ").split(", "):
            target, _, given = part.partition(" = ")
            target = names.get(target, target)
            _, _, added = given.partition(" + ")
            changed[target] = {"N": str(int(item[target]["N"]) + int(values[added]["N"]))} if added else values[given]
        return changed


def _read(value: Json) -> Any:
    ((kind, text),) = value.items()
    return int(text) if kind == "N" and "." not in text else text


class Queue:
    """The mail queue, as Lambda's poller sees it."""

    def __init__(self) -> None:
        self.visible_at: dict[str, float] = {}
        self.received: dict[str, int] = {}
        self.pauses: dict[str, int] = {}  # seconds for which a message was hidden last by the mailer
        self.is_over = False

    def add(self, name: str) -> None:
        """A message for an object."""
        self.visible_at[name] = 0.0
        self.received[name] = 0

    async def receive(self, most: int) -> Reply:
        """Up to so many records, once there are so many or a second is over."""
        deadline = time.monotonic() + POLL_SECONDS
        while True:
            now = time.monotonic()
            ready = list(itertools.islice((name for name, at in self.visible_at.items() if at <= now), most))
            if len(ready) == most or now >= deadline or self.is_over:
                break
            await asyncio.sleep(0.01)
        for name in ready:
            self.visible_at[name] = now + 3_600
            self.received[name] += 1
        return answer({"Records": [self._write(name) for name in ready], "is_over": self.is_over})

    def _write(self, name: str) -> Json:
        event = {"Records": [{"s3": {"bucket": {"name": BUCKET}, "object": {"key": f"outbox/{name}.json"}}}]}
        attributes = {
            "ApproximateReceiveCount": str(self.received[name]),
            "SentTimestamp": str(int(time.time() * 1000)),
        }
        return {"messageId": name, "receiptHandle": name, "body": json.dumps(event), "attributes": attributes}

    def settle(self, records: list[str], failed: list[str]) -> Reply:
        """Deletes those that did not fail."""
        for name in set(records) - set(failed):
            self.visible_at.pop(name, None)
        return answer({})

    def hide(self, request: Json) -> Reply:
        """ChangeMessageVisibility."""
        seconds = int(request["VisibilityTimeout"])
        self.visible_at[request["ReceiptHandle"]] = time.monotonic() + seconds
        self.pauses[request["ReceiptHandle"]] = seconds
        return answer({})


class Cloud:
    """All of them."""

    def __init__(self) -> None:
        self.ses, self.tables, self.queue = Ses(), Tables(), Queue()
        self.objects: dict[str, bytes] = {}

    async def dispatch(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """The answer to a request, after as long as the service takes."""
        target = headers.get("x-amz-target", "")
        service, _, action = target.partition(".")
        if service == "DynamoDB_20120810":
            return await self._after("dynamodb", self.tables.call(action, json.loads(body)))
        if service == "secretsmanager":
            return await self._after("secretsmanager", answer({"SecretString": '{"first": "a key"}'}))
        if service == "AmazonSQS":
            return await self._after("sqs", self.queue.hide(json.loads(body)))
        if path == "/v2/email/account":
            return await self._after("ses", self.ses.tell_account())
        if path == "/v2/email/outbound-emails":
            return await self._after("ses", self.ses.send(json.loads(body)))
        if path.startswith("/queue/receive"):
            return await self.queue.receive(int(path.rpartition("=")[2]))
        if path == "/queue/settle":
            return self.queue.settle(**json.loads(body))
        if path == "/control":
            return self._control(json.loads(body or b"{}"))
        return await self._after("s3", self._store(method, path, headers, body))

    async def _after(self, service: str, reply: Reply) -> Reply:
        await asyncio.sleep(SECONDS[service])
        return reply

    def _store(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        if method == "GET":
            return Reply(200, self.objects[path]) if path in self.objects else Reply(404, b"")
        if headers.get("if-none-match") == "*" and path in self.objects:
            return Reply(412, b"")
        self.objects[path] = body
        return Reply(200, b"")

    def _control(self, given: Json) -> Reply:
        """Sets limits, adds mails (`body`, of which each has another id), wakes what is hidden; tells what happened."""
        for name in ("rate", "quota"):
            if name in given:
                setattr(self.ses, name, given[name])
        for name in given.get("add", []):
            self.objects[f"/{BUCKET}/outbox/{name}.json"] = json.dumps({**given["body"], "id": name}).encode()
            self.queue.add(name)
        if given.get("wake"):
            self.queue.visible_at = dict.fromkeys(self.queue.visible_at, 0.0)
        self.queue.is_over = given.get("is_over", False)
        ledger = [item for item in self.tables.items.get("ledger", {}).values() if "state" in item]
        reports = [json.loads(body) for path, body in self.objects.items() if path.startswith("/raw/")]
        return answer(
            {
                "now": time.monotonic(),
                "taken": self.ses.taken,
                "throttled": self.ses.throttled,
                "refused": self.ses.refused,
                "worst": self.ses.worst,
                "waiting": len(self.queue.visible_at),
                "pauses": self.queue.pauses,
                "states": [(one["state"]["S"], int(one["attempt"]["N"])) for one in ledger],
                "reports": [(one["state"], one["attempt"]) for one in reports],
            }
        )


async def serve(cloud: Cloud, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the requests of one connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            reply = await cloud.dispatch(method, path, headers, body)
            lines = [f"HTTP/1.1 {reply.status} .", f"content-length: {len(reply.body)}"]
            lines += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + reply.body)
            await writer.drain()
    writer.close()


async def main() -> None:
    """Serves on a free port of 127.0.0.1 until killed."""
    cloud = Cloud()
    server = await asyncio.start_server(lambda reader, writer: serve(cloud, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
