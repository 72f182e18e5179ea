"""What is deployed beside the template: certificates, the lock, the configurations of `sam deploy`."""

from __future__ import annotations

import hashlib
import re
import ssl
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from tests.template.conftest import ROOT, read_template

CERTIFICATES = ROOT / "layers" / "postgres" / "rds-ca.pem"


def test_certificates_are_roots_that_last() -> None:
    """Every certificate signs itself, is a CA, and holds for more than a year to come."""
    for certificate in x509.load_pem_x509_certificates(CERTIFICATES.read_bytes()):
        certificate.verify_directly_issued_by(certificate)
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=365)


def test_certificates_cover_the_database() -> None:
    """Each region of the bundle has the root that the template's database chooses, and a TLS client loads them all."""
    text = CERTIFICATES.read_text(encoding="ascii")
    chosen = read_template()["Resources"]["Database"]["Properties"]["CACertificateIdentifier"]
    assert chosen == "rds-ca-rsa2048-g1"
    regions = set(re.findall(r"^# Amazon RDS (\S+) Root CA", text, re.MULTILINE))
    assert len(regions) == 27
    assert regions == set(re.findall(r"^# Amazon RDS (\S+) Root CA RSA2048 G1", text, re.MULTILINE))
    assert len(ssl.create_default_context(cafile=str(CERTIFICATES)).get_ca_certs()) == text.count("BEGIN CERTIFICATE")


def test_certificates_are_as_noted() -> None:
    """The note beside the certificates carries their checksum."""
    note = CERTIFICATES.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(CERTIFICATES.read_bytes()).hexdigest() in note


def test_lock_names_no_host() -> None:
    """Versions only: where packages come from is the installing machine's business."""
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in lock
    assert not re.search(r"^\s*-", lock, re.MULTILINE)


def test_lock_covers_the_project() -> None:
    """What pyproject.toml pins exactly, the lock pins to the same version, but for packages of single commands."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower()
    others: dict[str, list[Any]] = project["dependency-groups"]
    assert all("==" in wanted for name in ("fuzz", "bench") for wanted in others.pop(name))
    groups = [project["project"]["dependencies"], *others.values()]
    for wanted in (item for group in groups for item in group if isinstance(item, str)):
        found = re.match(r"([\w.-]+)(?:\[[^]]*])?(==|>=)(\S+)", wanted)
        assert found, wanted
        name, operator, version = found[1].lower().replace("_", "-"), found[2], found[3]
        pinned = re.search(rf"^{re.escape(name)}==(\S+)", lock, re.MULTILINE)
        assert pinned, wanted
        assert operator == ">=" or pinned[1] == version, wanted


def read_environments() -> dict[str, Any]:
    """Return the environments of samconfig.toml."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    return {name: value for name, value in config.items() if isinstance(value, dict)}


def test_environments_are_three() -> None:
    """One that needs no thought, one to try things, one for real, each a stack of its own."""
    names = {name: value["global"]["parameters"]["stack_name"] for name, value in read_environments().items()}
    assert names == {"default": "mailwake", "dev": "mailwake-dev", "prod": "mailwake-prod"}


@pytest.mark.parametrize("name", ["default", "dev", "prod"])
def test_environment_sets_what_the_template_has(source: Mapping[str, Any], name: str) -> None:
    """Overrides name parameters of the template and keep to their limits; builds are never taken from a stale cache."""
    environment = read_environments()[name]
    assert environment["build"]["parameters"]["cached"] is False
    assert environment["deploy"]["parameters"]["capabilities"] == "CAPABILITY_IAM"
    for override in environment["deploy"]["parameters"].get("parameter_overrides", []):
        key, _, value = override.partition("=")
        parameter = source["Parameters"][key]
        assert value in map(str, parameter.get("AllowedValues", [value]))
        assert parameter["Type"] != "Number" or int(value) >= parameter.get("MinValue", int(value))


def test_database_cannot_be_deleted_by_default(source: Mapping[str, Any]) -> None:
    """Only the environment to try things may lose its database by a slip."""
    assert source["Parameters"]["DatabaseDeletionProtection"]["Default"] == "true"
    for name, environment in read_environments().items():
        overrides = environment["deploy"]["parameters"].get("parameter_overrides", [])
        assert ("DatabaseDeletionProtection=false" in overrides) == (name == "dev")


def test_operations_name_every_parameter_and_output(source: Mapping[str, Any]) -> None:
    """docs/operations.md tells of each of them."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for name in (*source["Parameters"], *source["Outputs"]):
        assert f"`{name}`" in page, name
