"""Signatures by public keys: RSA, ECDSA and Ed25519, against several live keys.

A key is what the provider's console shows, as text: PEM of a public key or of a certificate, or the base64 of either's
DER without the PEM's frame, or (Ed25519) the base64 of its 32 bytes. A key that is none of these, or of another kind
than the provider signs with, verifies nothing; the other live keys still count.

`cryptography` is imported at first use: the listener imports it only for the providers that sign so.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from providers import UnverifiedError

RAW_ED25519 = 32  # bytes of a bare Ed25519 key


def check_rsa(given: bytes, keys: Sequence[str], signed: bytes, digest: str = "sha256") -> None:
    """What was given must be the RSA signature (PKCS #1 v1.5) of the signed bytes; digest: sha256 or sha1."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    algorithm = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}[digest]()
    _check_any(keys, rsa.RSAPublicKey, lambda key: key.verify(given, signed, padding.PKCS1v15(), algorithm))


def check_ecdsa(given: bytes, keys: Sequence[str], signed: bytes) -> None:
    """What was given must be the ECDSA signature (DER; P-256, SHA-256) of the signed bytes."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    def verify(key: Any) -> None:
        if not isinstance(key.curve, ec.SECP256R1):
            raise UnverifiedError("the key is not of the curve P-256")
        key.verify(given, signed, ec.ECDSA(hashes.SHA256()))

    _check_any(keys, ec.EllipticCurvePublicKey, verify)


def check_ed25519(given: bytes, keys: Sequence[str], signed: bytes) -> None:
    """What was given must be the Ed25519 signature of the signed bytes."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    _check_any(keys, ed25519.Ed25519PublicKey, lambda key: key.verify(given, signed))


@lru_cache(32)
def load_public_key(text: str) -> Any:
    """The public key of a text (see above). Raises `UnverifiedError` where it is none."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    try:
        lines = [line.strip() for line in text.strip().replace("\\n", "\n").splitlines()]
        der = base64.b64decode("".join(line for line in lines if not line.startswith("-----")), validate=True)
        if len(der) == RAW_ED25519:
            return ed25519.Ed25519PublicKey.from_public_bytes(der)
        if "CERTIFICATE" in lines[0]:
            return x509.load_der_x509_certificate(der).public_key()
        return serialization.load_der_public_key(der)
    except (ValueError, TypeError, IndexError, binascii.Error, UnsupportedAlgorithm):
        raise UnverifiedError("a key that is configured is no public key") from None


def _check_any(keys: Sequence[str], kind: type, verify: Callable[[Any], None]) -> None:
    """One of the keys must verify. Raises `UnverifiedError` with the problem of a bad key, if there is one."""
    from cryptography.exceptions import InvalidSignature

    problem = "wrong signature"
    for text in keys:
        try:
            verify(_load_key(text, kind))
        except UnverifiedError as failure:
            problem = str(failure)
        except InvalidSignature:
            pass
        else:
            return
    raise UnverifiedError(problem)


def _load_key(text: str, kind: type) -> Any:
    key = load_public_key(text)
    if not isinstance(key, kind):
        raise UnverifiedError("a key that is configured is of another kind than the provider signs with")
    return key
