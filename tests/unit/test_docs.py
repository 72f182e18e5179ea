import re
from pathlib import Path

import pytest

from query_events.parameters import PARAMETERS
from query_events.routes import ROUTES

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    """A document's text."""
    return (ROOT / name).read_text(encoding="utf-8")


def test_every_parameter_is_documented() -> None:
    """docs/api.md has a line for each parameter of the search, and none for others."""
    search = read("docs/api.md").partition("## `GET /api/v1/events/message`")[2].partition("```json")[0]
    table = re.findall(r"^\| `([\w.<>]+)` \| ([^|]*) \|", search, re.MULTILINE)
    documented = {name: tuple(re.findall(r"`(\w+)`", aliases)) for name, aliases in table}
    assert documented == {row.name: row.aliases for row in PARAMETERS.values()}


def test_every_route_is_documented() -> None:
    """docs/api.md has a heading for each route."""
    for route in ROUTES:
        assert f"## `GET {route.path}`" in read("docs/api.md")


def test_every_setting_is_documented() -> None:
    """docs/architecture.md names each variable that the functions read."""
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions").rglob("*.py"))
    settings = set(re.findall(r'read_(?:text|number)\("([A-Z_]+)"', code))
    documented = set(re.findall(r"`([A-Z_]+)`", read("docs/architecture.md")))
    assert settings
    assert settings - documented == set()


def test_every_command_is_documented() -> None:
    """The README names each make target that has a help line, and no other."""
    targets = set(re.findall(r"^([a-z-]+):.*?## ", read("Makefile"), re.MULTILINE)) - {"help"}
    assert set(re.findall(r"make ([a-z-]+)", read("README.md"))) == targets


def test_every_template_parameter_is_documented() -> None:
    """docs/operations.md names each of the template's parameters and outputs."""
    template = read("template.yaml")
    parameters = template.partition("\nParameters:")[2].partition("\nConditions:")[0]
    outputs = template.partition("\nOutputs:")[2]
    names = re.findall(r"^  ([A-Z]\w+):$", parameters + outputs, re.MULTILINE)
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in read("docs/operations.md")] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """A document's links to files of the project lead to them."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []
