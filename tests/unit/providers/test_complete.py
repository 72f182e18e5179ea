import re
from pathlib import Path

import pytest

from local import guide
from providers import find_provider, list_mappings, list_providers
from tests.unit.providers.payloads import FOLDER, list_payloads

GUIDE = guide.GUIDE.read_text(encoding="utf-8")
ROWS = {
    name: [cell.strip() for cell in cells.split("|")]
    for name, cells in re.findall(r"^\| `(\w+)` \| (.*) \|$", GUIDE.partition(guide.BEGIN)[0], re.MULTILINE)
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
def test_row_is_that_of_a_provider(name: str) -> None:
    """A row is that of a provider there is, and no cell is empty."""
    assert name in list_providers()
    assert len(ROWS[name]) == 3
    assert all(ROWS[name])


def test_guide_is_up_to_date() -> None:
    """What docs/providers.md says of methods, proofs, answers and words is the code's; `make docs` makes it so."""
    assert guide.write_anew(GUIDE) == GUIDE


def test_guide_tells_proofs() -> None:
    """How a provider proves who it is is found in the code, also where its function is another module's."""
    assert all(guide.describe_proof(provider)[0] for provider in map(find_provider, list_providers()) if provider)
    known = {name: find_provider(name) for name in ("resend", "sparkpost", "amazon_ses")}
    assert {name: guide.describe_proof(provider) for name, provider in known.items() if provider} == {
        "resend": ("HMAC", "5 minutes"),
        "sparkpost": ("shared secret", ""),
        "amazon_ses": ("RSA, shared secret", "24 hours"),
    }


def test_guide_looks_into_what_is_called() -> None:
    """A proof is found behind a function of the providers' modules too: Mandrill's handshake calls `verify`."""
    mandrill = find_provider("mandrill")
    assert mandrill is not None
    assert "digest" in guide.find_names(mandrill.handshake, set())


def test_payloads_belong_to_a_provider() -> None:
    """No folder of payloads is that of a provider that there is none of, and no request names another one."""
    assert {path.name for path in FOLDER.iterdir() if any(path.glob("*.http"))} <= {*list_providers(), *list_mappings()}
    assert all(payload.name.startswith(f"{payload.request.provider}/") for payload in list_payloads())
    expectations = {path.with_suffix("") for path in FOLDER.glob("*/*.json") if path.name != "webhook-samples.json"}
    assert {path.with_suffix("") for path in FOLDER.glob("*/*.http")} == expectations
