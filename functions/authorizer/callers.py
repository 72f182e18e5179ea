"""Who asks, as the authorizer tells the functions behind it."""

from typing import NamedTuple


class Caller(NamedTuple):
    """Who asks; `refusal` is empty, or says why nobody may answer."""

    name: str = ""
    scopes: str = ""  # joined by a space
    refusal: str = ""


UNKNOWN = Caller(refusal="unauthorized")
UNAVAILABLE = Caller(refusal="unavailable")  # nobody can tell now who it is
