"""What the code in functions/ needs from the template, read from its syntax without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from providers import list_providers
from sources import SOURCES

FUNCTIONS = Path(__file__).parents[2] / "functions"

# Set by Lambda itself, or read by AWS's own libraries to be pointed elsewhere: not the template's business.
LAMBDA_PREFIXES = ("AWS_", "LAMBDA_", "_HANDLER", "TZ")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a function needs to run."""

    modules: frozenset[str]  # ours, such as "common.settings"
    modules_at_load: frozenset[str]  # of these, what is imported with the code
    required: frozenset[str]  # environment variables without which it fails
    optional: frozenset[str]  # environment variables that have a default
    third_party: frozenset[str]  # top-level modules of others, imported with the code
    lazy: frozenset[str]  # the same, imported only when some function is called

    @property
    def packages(self) -> frozenset[str]:
        """Our top-level packages."""
        return frozenset(module.partition(".")[0] for module in self.modules)


@dataclass
class _Found:
    modules: dict[str, bool] = field(default_factory=dict)  # with whether it is imported with the code
    required: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    third_party: set[str] = field(default_factory=set)
    lazy: set[str] = field(default_factory=set)


def read_needs(package: str) -> Needs:
    """Follow the imports of `<package>.app` and collect what they all need."""
    found = _Found()
    _read_module(f"{package}.app", found, at_load=True)
    return Needs(
        modules=frozenset(found.modules),
        modules_at_load=frozenset(module for module, at_load in found.modules.items() if at_load),
        required=frozenset(found.required),
        optional=frozenset(found.optional - found.required),
        third_party=frozenset(found.third_party),
        lazy=frozenset(found.lazy - found.third_party),
    )


def list_lazy(function: str, needs: Needs) -> frozenset[str]:
    """What a function imports when it is called for.

    The listener shares the providers' files with the others: it only checks senders, they only parse and restore.
    """
    never = {"msgspec", "zstandard"} if function == "WebhookListener" else {"cryptography"}
    return needs.lazy - (never if any(module.startswith("providers.") for module in needs.modules) else set())


def _find_file(module: str) -> Path | None:
    path = FUNCTIONS.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _read_module(module: str, found: _Found, *, at_load: bool) -> None:
    path = _find_file(module)
    if path is None or found.modules.get(module, False) or (module in found.modules and not at_load):
        return
    found.modules[module] = at_load
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, runs_at_load in _walk_runtime(tree, at_load=at_load):
        for name in _list_imports(node):
            _follow(name, found, at_load=runs_at_load)
        _note_variable(node, found)


def _walk_runtime(node: ast.AST, *, at_load: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Like ast.walk, without what only a type checker sees; with each node, whether it runs on import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child, at_load
        in_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield from _walk_runtime(child, at_load=at_load and not in_function)


def _list_imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _follow(name: str, found: _Found, *, at_load: bool) -> None:
    top = name.partition(".")[0]
    if not (FUNCTIONS / top).is_dir():
        if top not in sys.stdlib_module_names:
            (found.third_party if at_load else found.lazy).add(top)
        return
    _read_module(top, found, at_load=at_load)
    _read_module(name, found, at_load=at_load)
    if top == "providers":
        for provider in list_providers():  # chosen by the URL's segment at run time: every one counts
            _read_module(f"{top}.{provider}", found, at_load=at_load)
    if top == "sources":
        for source in SOURCES:  # chosen by the path at run time
            _read_module(f"{top}.{source}", found, at_load=at_load)


def _note_variable(node: ast.AST, found: _Found) -> None:
    if isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"os.environ", "environ", "env"}:
        if isinstance(node.ctx, ast.Load):
            _add(node.slice, found.required, found)
    elif isinstance(node, ast.Call) and node.args:
        called = ast.unparse(node.func)
        if called in {"os.environ.get", "environ.get", "env.get", "os.getenv", "getenv"}:
            _add(node.args[0], found.optional, found)
        elif called.rpartition(".")[2] in {"read_text", "read_number"}:
            has_default = len(node.args) + len(node.keywords) > 1
            _add(node.args[0], found.optional if has_default else found.required, found)


def _add(node: ast.expr, names: set[str], found: _Found) -> None:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    name = node.value
    if name.isupper() and name.replace("_", "").isalnum() and not name.startswith(LAMBDA_PREFIXES):
        names.add(name)
