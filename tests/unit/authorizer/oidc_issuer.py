"""An OpenID Connect issuer on 127.0.0.1. It signs with cryptography alone, by another way than what it tests."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
AUDIENCE = "mailwake"


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def encode_json(value: object) -> str:
    """JSON in base64url."""
    return encode(json.dumps(value).encode())


def encode_number(number: int) -> str:
    """A number as JWKs have it."""
    return encode(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def build_jwk(key_id: str, key: PrivateKey) -> dict[str, str]:
    """The public key as a JWK."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        own = {"kty": "RSA", "n": encode_number(numbers.n), "e": encode_number(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        point = key.public_key().public_numbers()
        own = {"kty": "EC", "crv": "P-256", "x": encode(point.x.to_bytes(32)), "y": encode(point.y.to_bytes(32))}
    else:
        own = {"kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().public_bytes_raw())}
    return {**own, "kid": key_id, "use": "sig"}


def sign(key: PrivateKey, header: Mapping[str, Any], claims: object) -> str:
    """A token with this header and these claims, signed as the key's kind is."""
    signed = f"{encode_json(header)}.{encode_json(claims)}"
    data = signed.encode()
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32) + s.to_bytes(32)
    else:
        signature = key.sign(data)
    return f"{signed}.{encode(signature)}"


def sign_with_public_key(key: PrivateKey, header: Mapping[str, Any], claims: object) -> str:
    """The old trick: HS256, with the public key, which everybody has, as the secret."""
    secret = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{encode_json({**header, 'alg': 'HS256'})}.{encode_json(claims)}"
    return f"{signed}.{encode(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


class Issuer:
    """A running issuer with an RSA, an EC and an Ed25519 key, whose ids are `rsa`, `ec` and `ed`."""

    def __init__(self) -> None:
        self.keys: dict[str, PrivateKey] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }
        self.published: list[Any] = [build_jwk(key_id, key) for key_id, key in self.keys.items()]
        self.says: dict[str, Any] = {}  # what discovery says otherwise
        self.down = False
        self.fetches = 0  # of keys
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer._answer(self)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/realms/test"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        answers: dict[str, object] = {
            "/realms/test/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                **self.says,
            },
            "/realms/test/keys": {"keys": self.published},
        }
        self.fetches += request.path.endswith("/keys")
        found = not self.down and request.path in answers
        body = json.dumps(answers[request.path]).encode() if found else b"{}"
        request.send_response(200 if found else 503)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def build_claims(self, *, at: float | None = None, **changes: Any) -> dict[str, Any]:
        """The claims of a good token that was made at that instant; None takes one away."""
        instant = int(time.time() if at is None else at)
        claims: dict[str, Any] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "iat": instant,
            "nbf": instant,
            "exp": instant + 300,
            "scope": "openid events:read",
        }
        return {name: value for name, value in {**claims, **changes}.items() if value is not None}

    def make_token(self, key_id: str = "rsa", *, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A token signed by one of the keys; see `build_claims`."""
        algorithm = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}.get(key_id, "RS256")
        own = {"alg": algorithm, "kid": key_id, "typ": "JWT", **(header or {})}
        named = {name: value for name, value in own.items() if value is not None}
        return sign(self.keys[key_id], named, self.build_claims(**claims))

    def rotate(self, key_id: str) -> None:
        """A new key under a new id, instead of all before."""
        self.keys[key_id] = rsa.generate_private_key(65537, 2048)
        self.published = [build_jwk(key_id, self.keys[key_id])]
