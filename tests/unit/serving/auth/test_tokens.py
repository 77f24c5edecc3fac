"""Users' JSON Web Tokens: only those signed with the configured key, by its own algorithm."""

from __future__ import annotations

import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from recsys.errors import InputError
from recsys.serving.auth.tokens import TokenVerifier
from recsys.serving.config import ServingConfig
from recsys.serving.problems import Problem

SECRET = "a secret with at least 32 bytes in it"


@functools.cache
def key_pair(kind: str) -> tuple[str, str]:
    """Private and public PEM."""
    makers: dict[str, Any] = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048), "short rsa": lambda: rsa.generate_private_key(65537, 1024),
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()), "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    }  # fmt: skip
    key = makers[kind]()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def token(key: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    whole = {"sub": "u1", "exp": datetime.now(UTC) + timedelta(minutes=1), **claims}
    return jwt.encode({name: value for name, value in whole.items() if value is not None}, key, algorithm=algorithm)


@pytest.mark.parametrize(("kind", "algorithm"), [("rsa", "RS256"), ("p256", "ES256")])
def test_public_keys(kind: str, algorithm: str, tmp_path: Path) -> None:
    private, public = key_pair(kind)
    path = tmp_path / "key.pem"
    path.write_text(public, encoding="utf-8")
    for given in (public, str(path)):
        verifier = TokenVerifier(ServingConfig(jwt_public_key=given))
        assert verifier.user_of(token(private, algorithm)) == "u1"
        other = {"RS256": "ES256", "ES256": "RS256"}[algorithm]
        for forged in (token(key_pair({"rsa": "p256", "p256": "rsa"}[kind])[0], other), token()):
            with pytest.raises(Problem, match="401"):
                verifier.user_of(forged)


def test_a_public_key_is_no_secret() -> None:
    """The old trick: sign with HMAC, with the public key as the secret."""
    import base64
    import hashlib
    import hmac
    import json

    public = key_pair("rsa")[1]
    claims = {"sub": "victim", "exp": 4_000_000_000}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in ({"alg": "HS256"}, claims)]
    signed = b".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.digest(public.encode(), signed, hashlib.sha256)).rstrip(b"=")
    with pytest.raises(Problem, match="401"):
        TokenVerifier(ServingConfig(jwt_public_key=public)).user_of((signed + b"." + signature).decode())


def test_audience_and_issuer_are_asked_for_where_configured() -> None:
    config = ServingConfig(jwt_secret=SECRET)
    both = replace(config, jwt_audience="recsys", jwt_issuer="shop")
    assert TokenVerifier(both).user_of(token(aud=["recsys", "other"], iss="shop")) == "u1"
    for claims in ({"aud": "recsys"}, {"iss": "shop"}, {"aud": "x", "iss": "shop"}, {"aud": "recsys", "iss": "x"}, {}):
        with pytest.raises(Problem, match="401"):
            TokenVerifier(both).user_of(token(**claims))
    assert TokenVerifier(config).user_of(token(iss="anybody")) == "u1"
    with pytest.raises(Problem, match="401"):  # meant for somebody else
        TokenVerifier(config).user_of(token(aud="other"))


@pytest.mark.parametrize(
    "claims", [{"sub": None}, {"exp": None}, {"sub": ""}, {"sub": "  "}, {"sub": "x" * 201}, {"sub": "a\0"}]
)
def test_a_token_needs_a_user_and_an_end(claims: dict[str, Any]) -> None:
    with pytest.raises(Problem) as caught:
        TokenVerifier(ServingConfig(jwt_secret=SECRET)).user_of(token(**claims))
    assert caught.value.status == 401


def test_without_a_key_no_token_is_believed() -> None:
    with pytest.raises(Problem, match="takes no JWT"):
        TokenVerifier(ServingConfig()).user_of(token())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"jwt_secret": "short"}, "at least 32 bytes"),
        ({"jwt_secret": SECRET, "jwt_public_key": "x"}, "got both"),
        ({"jwt_public_key": "/nowhere/key.pem"}, "path of one"),
        ({"jwt_public_key": "-----BEGIN PUBLIC KEY-----\nrubbish"}, "public key as PEM"),
        ({"jwt_public_key": "short rsa"}, "2048 bits"),
        ({"jwt_public_key": "p384"}, "P-256"),
    ],
)
def test_a_key_that_cannot_be_used_is_told_at_the_start(changed: dict[str, str], message: str) -> None:
    if changed.get("jwt_public_key") in {"short rsa", "p384"}:
        changed = {"jwt_public_key": key_pair(changed["jwt_public_key"])[1]}
    with pytest.raises(InputError, match=message) as caught:
        TokenVerifier(ServingConfig(**changed))
    assert SECRET not in str(caught.value)
