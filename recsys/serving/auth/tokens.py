"""Users' own JSON Web Tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from recsys.errors import InputError
from recsys.serving.config import ServingConfig
from recsys.serving.problems import unauthorized

MIN_SECRET_BYTES = 32  # HS256 is as strong as its secret
MIN_RSA_BITS = 2048
USER_ID = re.compile(r"(?!\s*\Z)[^\0\ud800-\udfff]{1,200}\Z")


class TokenVerifier:
    """Checks tokens by the configured key, with the one algorithm that goes with it: never the token's own choice.

    Raises:
        InputError: if the key cannot be used.
    """

    def __init__(self, config: ServingConfig) -> None:
        self._audience = config.jwt_audience or None
        self._issuer = config.jwt_issuer or None
        self._algorithm, self._key = _key_of(config)

    def user_of(self, token: str) -> str:
        """The `sub` of a valid token.

        Raises:
            Problem: 401 for any other.
        """
        if not self._algorithm:
            raise unauthorized("Expected an API key, got something else; this service takes no JWT.", "invalid_token")
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self._key, algorithms=[self._algorithm], audience=self._audience, issuer=self._issuer,
                options={"require": ["exp", "sub"]},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError) as error:
            raise unauthorized(f"Expected a valid JWT, but: {error}.", "invalid_token") from error
        user_id = claims["sub"]
        if not isinstance(user_id, str) or not USER_ID.match(user_id):
            raise unauthorized("Expected `sub` to be a user id of 1 to 200 characters, got another.", "invalid_token")
        return user_id


def _key_of(config: ServingConfig) -> tuple[str, Any]:
    if config.jwt_secret and config.jwt_public_key:
        raise InputError(
            "Expected RECSYS_JWT_SECRET or RECSYS_JWT_PUBLIC_KEY, got both: unset the one that your tokens are not "
            "signed with."
        )
    if config.jwt_secret:
        if len(config.jwt_secret.encode()) < MIN_SECRET_BYTES:
            raise InputError(
                f"Expected RECSYS_JWT_SECRET with at least {MIN_SECRET_BYTES} bytes, got {len(config.jwt_secret.encode())}: "
                "make one with `openssl rand -hex 32`."
            )
        return "HS256", config.jwt_secret
    return _public_key(config.jwt_public_key) if config.jwt_public_key else ("", None)


def _public_key(given: str) -> tuple[str, Any]:
    """Algorithm and key from PEM text, or from the file that has it."""
    try:
        pem = given.encode() if given.lstrip().startswith("-----BEGIN") else Path(given).read_bytes()
        key = load_pem_public_key(pem)
    except (OSError, ValueError) as error:
        raise InputError(
            f"Expected RECSYS_JWT_PUBLIC_KEY to be a public key as PEM, or the path of one, but: {error}."
        ) from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return "RS256", key
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1":
        return "ES256", key
    raise InputError(
        f"Expected RECSYS_JWT_PUBLIC_KEY to be an RSA key of at least {MIN_RSA_BITS} bits or an elliptic-curve key on P-256, "
        f"got {type(key).__name__}."
    )
