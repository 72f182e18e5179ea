"""The template and the code agree: handlers, packages, layers, environment."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from typing import Any

import pytest

from tests.template.conftest import ROOT, read_template
from tests.template.reading import FUNCTIONS, list_lazy, read_needs

# Lambda's runtime brings these.
RUNTIME_MODULES = {"boto3", "botocore"}

HANDLERS = {
    name: resource["Properties"]["Handler"]
    for name, resource in read_template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}

each_function = pytest.mark.parametrize("name", sorted(HANDLERS))


def get_package(name: str) -> str:
    """Return the package of a function, such as "s3_loader" for "S3Loader"."""
    return str(HANDLERS[name].partition(".")[0])


def get_variables(functions: Mapping[str, Any], name: str) -> set[str]:
    """Return the names of a function's environment variables."""
    return set(functions[name]["Environment"]["Variables"])


@each_function
def test_handler_exists(name: str) -> None:
    """The handler that the template names is a function in that file."""
    *module, function = HANDLERS[name].split(".")
    path = FUNCTIONS.joinpath(*module).with_suffix(".py")
    assert path.is_file()
    defined = {
        node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    }
    assert function in defined


@each_function
def test_handler_is_named_like_the_function(name: str) -> None:
    """S3Loader is found in s3_loader/app.py, and so on."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    assert HANDLERS[name] == f"{words}.app.handler"


def test_every_package_with_an_app_is_deployed() -> None:
    """No function is written and then forgotten in the template."""
    written = {path.parent.name for path in FUNCTIONS.glob("*/app.py")}
    assert written <= {get_package(name) for name in HANDLERS}


@each_function
def test_required_variables_are_set(functions: Mapping[str, Any], name: str) -> None:
    """Every environment variable without which the code fails is set."""
    assert read_needs(get_package(name)).required <= get_variables(functions, name)


@each_function
def test_set_variables_are_read(functions: Mapping[str, Any], name: str) -> None:
    """No variable is set that nothing reads."""
    needs = read_needs(get_package(name))
    assert get_variables(functions, name) <= needs.required | needs.optional


@each_function
def test_build_copies_what_is_imported(name: str) -> None:
    """functions/Makefile copies exactly the packages that the function imports, itself included."""
    makefile = (FUNCTIONS / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^build-{name}:\n(?:\t.*\n)*?\t\$\(call BUILD,(.*)\)$", makefile, re.MULTILINE)
    assert found, "no build target"
    assert set(found[1].split()) == read_needs(get_package(name)).packages


def list_layer_modules(layer: str) -> set[str]:
    """Return the modules that can be imported from the packages that a layer's requirements name."""
    folder = {"PostgresLayer": "postgres", "WebLayer": "web", "SignaturesLayer": "signatures", "MailLayer": "mail"}[
        layer
    ]
    wanted = set((ROOT / "layers" / folder / "requirements.txt").read_text(encoding="utf-8").split())
    return {
        module
        for module, distributions in packages_distributions().items()
        if wanted & {re.sub(r"[-_.]+", "-", distribution).lower() for distribution in distributions}
    }


@each_function
def test_third_party_modules_are_in_layers(functions: Mapping[str, Any], name: str) -> None:
    """What a function imports comes from the runtime or from a layer attached to it."""
    layers = [layer["Ref"] for layer in functions[name].get("Layers", [])]
    carried = RUNTIME_MODULES.union(*(list_layer_modules(layer) for layer in layers))
    needs = read_needs(get_package(name))
    assert needs.third_party <= carried
    assert list_lazy(name, needs) <= carried


@pytest.mark.parametrize("name", ["WebhookListener", "Authorizer", "Console"])
def test_functions_at_the_edge_import_nothing_of_others(functions: Mapping[str, Any], name: str) -> None:
    """Someone waits for these: they start with the standard library and our code only."""
    assert functions[name].get("Layers", []) == [{"Ref": "SignaturesLayer"}]
    assert not read_needs(get_package(name)).third_party


def test_every_build_target_is_a_function() -> None:
    """functions/Makefile builds the template's functions and nothing else."""
    makefile = (FUNCTIONS / "Makefile").read_text(encoding="utf-8")
    assert set(re.findall(r"^build-(\w+):", makefile, re.MULTILINE)) == set(HANDLERS)


def test_layers_are_pinned() -> None:
    """Each package of a layer is in the lock, which its build takes as constraint."""
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for requirements in ROOT.glob("layers/*/requirements.txt"):
        for package in requirements.read_text(encoding="utf-8").split():
            assert re.search(rf"^{re.escape(package)}==\d", lock, re.MULTILINE), package
