"""The email service providers: one module each, named like its segment of the webhook's URL.

A provider's module has
- `verify(request, secrets)`: returns when the request comes from the provider, else raises `UnverifiedError`;
- `find_batch_id(request)`: the provider's own id of this batch, or "";
- `parse(body)`: yields an `Event` or an `Unparseable` for each item of a body;
- `restore(...)`: the original event back from what was stored.
Only the module that a request names is imported: it is on the way of every webhook.
"""

from functools import lru_cache
from importlib import import_module
from types import ModuleType

NAMES = frozenset({"sparkpost"})


@lru_cache(64)
def find_provider(name: str) -> ModuleType | None:
    """The provider of this name, or None."""
    return import_module(f"providers.{name}") if name in NAMES else None
