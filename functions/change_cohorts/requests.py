"""What is asked for, as the answers of this function read it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import connection as Connection

from cohort_evaluator.reading import DefinitionError, read_object
from common.errors import ApiError
from common.events import Json


class Change(NamedTuple):
    """What is asked for."""

    connection: Connection
    instant: datetime
    caller: str
    path: Mapping[str, str]
    body: Any  # JSON
    may_see: bool = False  # whether the caller may see addresses and traits


def read_body(change: Change, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Json:
    """The body, an object that has these; none is an empty one. Raises `ApiError`."""
    try:
        return read_object({} if change.body is None else change.body, "the body", required=required, optional=optional)
    except DefinitionError as failure:
        raise refuse(failure) from None


def refuse(failure: DefinitionError) -> ApiError:
    """The error for a body that is not as it must be."""
    return ApiError(400, "The body can't be understood", str(failure))
