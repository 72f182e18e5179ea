"""Signatures by public keys."""

import base64
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from providers import UnverifiedError
from providers._signatures import check_ecdsa, check_ed25519, check_rsa, load_public_key

SIGNED = b'{"event":"email.delivered"}\r\n'
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
P384 = ec.generate_private_key(ec.SECP384R1())
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def write_pem(key: Any) -> str:
    """The public key as PEM."""
    return str(key.public_key().public_bytes(PEM, SPKI).decode())


def write_base64(key: Any) -> str:
    """The public key as bare base64."""
    return base64.b64encode(key.public_key().public_bytes(DER, SPKI)).decode()


def write_certificate(key: Any) -> str:
    """A certificate of the key, signed by itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.example.com")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime(2026, 1, 1), datetime(2027, 1, 1))
    return builder.sign(key, hashes.SHA256()).public_bytes(PEM).decode()


Check = Callable[[bytes, Sequence[str], bytes], None]


def check_rsa_sha1(given: bytes, keys: Sequence[str], signed: bytes) -> None:
    """RSA over SHA-1."""
    check_rsa(given, keys, signed, "sha1")


CASES: list[Any] = [
    pytest.param(check_rsa, RSA, RSA.sign(SIGNED, padding.PKCS1v15(), hashes.SHA256()), id="rsa-sha256"),
    pytest.param(check_rsa_sha1, RSA, RSA.sign(SIGNED, padding.PKCS1v15(), hashes.SHA1()), id="rsa-sha1"),
    pytest.param(check_ecdsa, EC, EC.sign(SIGNED, ec.ECDSA(hashes.SHA256())), id="ecdsa"),
    pytest.param(check_ed25519, ED, ED.sign(SIGNED), id="ed25519"),
]
STRANGERS = [write_pem(rsa.generate_private_key(65537, 2048)), write_pem(P384)]


@pytest.mark.parametrize(("check", "key", "given"), CASES)
@pytest.mark.parametrize("write", [write_pem, write_base64])
def test_any_live_key_verifies(check: Check, key: Any, given: bytes, write: Callable[[Any], str]) -> None:
    """Keys come as PEM or as bare base64; keys of other kinds and broken ones beside them do no harm."""
    check(given, [write(key)], SIGNED)
    check(given, [*STRANGERS, "no key", "", write(key)], SIGNED)
    check(given, [write(key), "no key"], SIGNED)


@pytest.mark.parametrize(("check", "key", "given"), CASES)
def test_a_changed_bit_is_refused(check: Check, key: Any, given: bytes) -> None:
    """In the signature, in what is signed, or with another key: refused alike, whatever the bytes are."""
    live = [write_pem(key)]
    bad = [bytes([given[0] ^ 1]) + given[1:], given[:-1] + bytes([given[-1] ^ 1]), given[:-1], given + b"\0", b""]
    for signature in bad:
        with pytest.raises(UnverifiedError):
            check(signature, live, SIGNED)
    with pytest.raises(UnverifiedError):
        check(given, live, SIGNED[:-1])
    for keys in [], STRANGERS, ["no key"]:
        with pytest.raises(UnverifiedError):
            check(given, keys, SIGNED)


def test_the_digest_counts() -> None:
    """A signature over SHA-1 is none over SHA-256."""
    given = RSA.sign(SIGNED, padding.PKCS1v15(), hashes.SHA1())
    with pytest.raises(UnverifiedError, match="wrong signature"):
        check_rsa(given, [write_pem(RSA)], SIGNED)


def test_another_curve_is_refused() -> None:
    """Only P-256 counts, even where the signature is right."""
    with pytest.raises(UnverifiedError, match="P-256"):
        check_ecdsa(P384.sign(SIGNED, ec.ECDSA(hashes.SHA256())), [write_pem(P384)], SIGNED)


def test_a_certificate_is_a_key() -> None:
    """A certificate in PEM stands for the key in it."""
    check_rsa(RSA.sign(SIGNED, padding.PKCS1v15(), hashes.SHA256()), [write_certificate(RSA)], SIGNED)


def test_a_bare_ed25519_key() -> None:
    """The base64 of 32 bytes is an Ed25519 key: test 2 of RFC 8032."""
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    given = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    check_ed25519(given, [base64.b64encode(key).decode()], b"\x72")


@pytest.mark.parametrize("text", ["", "-----BEGIN PUBLIC KEY-----", "ä", "AAAA", "-----BEGIN CERTIFICATE-----\nAAAA"])
def test_what_is_no_key_says_so(text: str) -> None:
    """The log names the problem: a configured key is none. The text itself is not shown."""
    with pytest.raises(UnverifiedError, match="a key that is configured is no public key"):
        load_public_key(text)


def test_line_breaks_may_be_escaped() -> None:
    """A PEM pasted into JSON twice has its line breaks as backslash and n."""
    assert load_public_key(write_pem(RSA).replace("\n", "\\n")) == RSA.public_key()
