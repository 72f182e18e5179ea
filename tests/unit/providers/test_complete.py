import re
from pathlib import Path

import pytest

from providers import find_provider, list_mappings, list_providers
from tests.unit.providers.payloads import FOLDER, list_payloads

ROOT = Path(__file__).parents[3]
ROWS = {
    name: [cell.strip() for cell in cells.split("|")]
    for name, cells in re.findall(
        r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs" / "providers.md").read_text(encoding="utf-8"), re.MULTILINE
    )
}


def test_providers_are_found() -> None:
    """The list is not empty, and each name on it is that of a provider."""
    assert "sparkpost" in list_providers()
    assert all(find_provider(name) for name in list_providers())


@pytest.mark.parametrize("name", list_providers())
def test_provider_has_what_makes_it_complete(name: str) -> None:
    """A provider has its functions, a test file, payloads with events, and a row in docs/providers.md."""
    provider = find_provider(name)
    assert all(callable(getattr(provider, function, None)) for function in ("verify", "parse", "restore"))
    assert (Path(__file__).parent / f"test_{name}.py").exists()
    assert any(payload.events for payload in list_payloads(name))
    assert name in ROWS


@pytest.mark.parametrize("name", sorted(ROWS))
def test_row_says_what_the_code_does(name: str) -> None:
    """A row is that of a provider there is; methods and answers are the code's, no cell is empty."""
    assert name in list_providers()
    provider = find_provider(name)
    assert provider is not None
    methods, _, _, answers, _ = ROWS[name]
    assert methods == ", ".join(provider.METHODS)
    assert answers == f"{provider.ANSWERS.unavailable}, {provider.ANSWERS.unauthorized}"
    assert all(ROWS[name])


def test_payloads_belong_to_a_provider() -> None:
    """No folder of payloads is that of a provider that there is none of, and no request names another one."""
    assert {path.name for path in FOLDER.iterdir() if any(path.glob("*.http"))} <= {*list_providers(), *list_mappings()}
    assert all(payload.name.startswith(f"{payload.request.provider}/") for payload in list_payloads())
    expectations = {path.with_suffix("") for path in FOLDER.glob("*/*.json") if path.name != "webhook-samples.json"}
    assert {path.with_suffix("") for path in FOLDER.glob("*/*.http")} == expectations
