"""The quick way through a body of API calls: those that are as Moesif's documentation says.

Their fields are decoded at once into structures, what has no column as the JSON that it came in; taking the columns'
fields out of a structure leaves the detail. A call with anything else in it (an unknown field, a number where text
should be, a time without milliseconds) is handed back as it came, and takes the way in `moesif.py`, which takes any
form and gives the same result.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from struct import unpack
from typing import Any, Final, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from common.activities import CALL, USER, Activity, Identity, Operation
from providers._fields import UNSTORABLE
from sources._fields import LARGEST_INT, LONGEST_ID, LONGEST_NAME, find_salt, make_key, read_name, shape_route
from sources._moesif_sent import SOURCE, find_agent_name, take_agent
from sources.moesif import DIRECTIONS, LONGEST_TEXT

# Verbs that need no look at their letters; others take the other way.
METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
CANONICAL: Final = len("2026-11-21T12:34:56.789Z")  # what follows from the instant; without its zone it stays
REMEMBERED: Final = 50_000  # of each: users, operations, user agents, hours
_TEXT: Any = (str | UnsetType | None, UNSET)
_NUMBER: Any = (int | UnsetType | None, UNSET)
_OTHER: Any = (Raw | UnsetType, UNSET)


def _define(name: str, fields: dict[str, Any]) -> Any:
    """A structure; fields with a default of `...` are required."""
    rows = [(field, kind) if default is ... else (field, kind, default) for field, (kind, default) in fields.items()]
    return msgspec.defstruct(name, rows, forbid_unknown_fields=True, gc=False)


_others = ("ip_address", "body", "transfer_encoding")
_Request = _define(
    "Request",
    {"time": (str, ...), "uri": (str, ...), "verb": (str, ...), "api_version": _TEXT}
    | {"headers": (dict[str, Any] | UnsetType | None, UNSET)}
    | dict.fromkeys(_others, _OTHER),
)
_Response = _define("Response", {"time": _TEXT, "status": _NUMBER} | dict.fromkeys(("headers", *_others), _OTHER))
_Call = _define(
    "Call",
    {"request": (_Request, ...), "response": (_Response | UnsetType | None, UNSET)}
    | dict.fromkeys(("user_id", "company_id", "transaction_id", "direction"), _TEXT)
    | {"weight": _NUMBER}
    | dict.fromkeys(("session_token", "metadata", "tags", "blocked_by"), _OTHER),
)

_decode_calls: Callable[[bytes], list[Any]] = msgspec.json.Decoder(cast("Any", list)[_Call]).decode
_decode_call: Callable[[Raw], Any] = msgspec.json.Decoder(_Call).decode
_decode_items: Callable[[bytes], list[Raw]] = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode
_fromisoformat = datetime.fromisoformat
_make_activity = Activity._make
_match_uuids = re.compile("(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\n?)++").fullmatch
_match_hour = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:").fullmatch
_match_second = re.compile("[0-5][0-9]:[0-5][0-9][.]").fullmatch
_match_end = re.compile("[0-9]{3}Z?").fullmatch


class _Memory(dict[Any, Any]):
    """What was read already. What can't be read raises `ValueError`."""

    def __init__(self, read: Callable[[Any], object]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, key: Any) -> Any:
        if len(self) >= REMEMBERED:
            self.clear()
        value = self[key] = self._read(key)
        return value


def _read_hour(text: str) -> int:
    """The milliseconds since 1970 at the beginning of an hour, `2026-11-21T12:`."""
    if _match_hour(text) is None:
        raise ValueError(text)
    return int(datetime.fromisoformat(text + "00Z").timestamp()) * 1000


def _read_second(text: str) -> int:
    """The milliseconds of `34:56.`."""
    if _match_second(text) is None:
        raise ValueError(text)
    return (int(text[:2]) * 60 + int(text[3:5])) * 1000


def _read_end(text: str) -> int:
    """The milliseconds of `789Z`, or of `789`, which is in UTC, too."""
    if _match_end(text) is None:
        raise ValueError(text)
    return int(text[:3])


def _check(text: str | None, longest: int) -> str | None:
    """A text that a column gives back letter by letter; none is fine, too. Raises `ValueError`."""
    if text is None or (0 < len(text) <= longest and not UNSTORABLE.search(text)):
        return text
    raise ValueError("odd")


def _read_operation(key: tuple[str, str, int | None, str | None, str | None]) -> Operation:
    method, route, status, direction, version = key
    if (
        method not in METHODS
        or len(route) > LONGEST_NAME
        or not (status is None or 0 <= status < 10_000)
        or not (direction is None or direction in DIRECTIONS)
    ):
        raise ValueError("odd")
    return Operation(
        SOURCE, CALL, None, method, read_name(route) or "/", status, direction, _check(version, LONGEST_TEXT)
    )


_hours = _Memory(_read_hour)
_seconds = _Memory(_read_second)
_ends = _Memory(_read_end)
_users = _Memory(lambda text: Identity(USER, cast("str", _check(text, LONGEST_ID))))
_companies = _Memory(lambda text: _check(text, LONGEST_ID))
_agents = _Memory(lambda text: _check(text, LONGEST_TEXT))
_operations = _Memory(_read_operation)


def read_operation(key: tuple[str, str, int | None, str | None, str | None]) -> Operation:
    """What was done, from the verb, the URI, the status, the direction and the version. Raises `ValueError`."""
    verb, uri, *others = key
    return cast("Operation", _operations[verb, shape_route(uri), *others])


def parse_regular(body: bytes) -> Iterator[Activity | bytes] | None:
    """For each call of a body an activity, or its JSON where the other way must be taken; None: all must take it."""
    try:
        if not body.isascii():
            body.decode()
        calls: Sequence[Any] = _decode_calls(body)
    except UnicodeDecodeError:
        return None
    except (ValueError, RecursionError):
        try:
            calls = [_try_call(raw) for raw in _decode_items(body)]
        except (ValueError, RecursionError):
            return None
    return _read_calls(body, calls)


def _try_call(raw: Raw) -> Any:
    try:
        return _decode_call(raw)
    except (ValueError, RecursionError):
        return None


def _read_calls(body: bytes, calls: Sequence[Any]) -> Iterator[Activity | bytes]:
    items: list[Raw] | None = None
    for position, (call, key) in enumerate(zip(calls, _read_keys(calls), strict=True)):
        try:
            activity = None if call is None or key is None else _read_call(call, position, key)
        except ValueError:
            activity = None
        if activity is None:
            items = items or _decode_items(body)
            yield bytes(items[position])
        else:
            yield activity


def _read_keys(calls: Sequence[Any]) -> Sequence[tuple[int, int | None] | None]:
    """The key of each call's id, and the rest of it; None where it has none. All at once where all are UUIDs."""
    try:
        joined = "\n".join([call.transaction_id for call in calls])
    except (AttributeError, TypeError):
        joined = ""
    if _match_uuids(joined):
        numbers = unpack(f">{2 * len(calls)}q", bytes.fromhex(joined.replace("-", "")))
        salt = find_salt(SOURCE)
        return [(high ^ low ^ salt, low) for high, low in zip(numbers[::2], numbers[1::2], strict=True)]
    ids = [getattr(call, "transaction_id", None) for call in calls]
    return [make_key(SOURCE, one, {}) if type(one) is str and one else None for one in ids]


def _read_call(call: Any, position: int, key: tuple[int, int | None]) -> Activity:
    """The activity of one structure, which is emptied. Raises `ValueError` where a column would lose something."""
    request, response = call.request, call.response
    time = request.time
    instant = _hours[time[:14]] + _seconds[time[14:20]] + _ends[time[20:]]
    status, duration = _take_response(response, instant) if response else (None, None)
    direction, version = call.direction or None, request.api_version or None
    operation = _operations[request.verb, shape_route(request.uri), status, direction, version]
    agent = _take_agent(request.headers) if request.headers else None
    request.verb = UNSET
    if len(time) == CANONICAL:
        request.time = UNSET
    user, company, weight = call.user_id, call.company_id, call.weight
    identity = None
    if user:
        identity = _users[user]
        call.user_id = UNSET
    if company:
        company = _companies[company]
        call.company_id = UNSET
    if direction is not None:
        call.direction = UNSET
    if version is not None:
        request.api_version = UNSET
    if weight and 1 < weight <= LARGEST_INT:
        call.weight = UNSET
    else:
        weight = None
    if key[1] is not None:
        call.transaction_id = UNSET
    metadata = bytes(call.metadata) if call.metadata else b""
    return _make_activity(
        (
            _fromisoformat(time if len(time) == CANONICAL else time + "Z"),
            *key,
            operation,
            identity,
            company or None,
            agent,
            duration,
            weight,
            position,
            _encode(call),
            metadata if metadata[:1] == b"{" and len(metadata) > 2 else None,
        )
    )


def _take_response(response: Any, instant: int) -> tuple[int | None, int | None]:
    """The status, and the milliseconds that have passed since an instant."""
    status, time = response.status, response.time
    if status is None or time is None:
        raise ValueError("odd")
    duration = None
    if time is not UNSET:
        duration = _hours[time[:14]] + _seconds[time[14:20]] + _ends[time[20:]] - instant
        if not 0 <= duration <= LARGEST_INT:
            raise ValueError("odd")
        if len(time) == CANONICAL:
            response.time = UNSET
    response.status = UNSET
    return None if status is UNSET else status, duration


def _take_agent(headers: dict[str, Any]) -> str | None:
    name = find_agent_name(headers)
    if name is None:
        return None
    agent = take_agent(headers, name)
    if type(agent) is not str:
        raise ValueError("odd")
    return cast("str", _agents[agent])
