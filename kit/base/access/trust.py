"""What a process verifies tokens with: public keys, and the ids of revoked tokens.

It begins with the file of the mesh's public keys. Each heartbeat to the registry brings what has
changed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from venuemesh.access.v1 import tokens_pb2

from kit.base.errors import SettingError


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """One state of trust."""

    jwks: Mapping[str, Any] = field(default_factory=dict)
    """The mesh's own keys, a JSON Web Key Set."""
    platform_jwks: Mapping[str, Any] = field(default_factory=dict)
    """The keys of the platform's issuer."""
    revoked_token_ids: frozenset[str] = frozenset()
    revision: str = ""


def from_file(file: Path) -> TrustedKeys:
    """The mesh's public keys. Empty if there is no file. Raises SettingError."""
    try:
        return TrustedKeys(jwks=json.loads(file.read_bytes()))
    except FileNotFoundError:
        return TrustedKeys()
    except (OSError, ValueError) as error:
        raise SettingError("access.trust_file", str(file), f"not a key set: {error}") from None


def from_message(message: tokens_pb2.TrustState) -> TrustedKeys:
    """The state that the registry sent. Raises ValueError if it cannot be read."""
    return TrustedKeys(
        jwks=json.loads(message.jwks or "{}"),
        platform_jwks=json.loads(message.platform_jwks or "{}"),
        revoked_token_ids=frozenset(message.revoked_token_ids),
        revision=message.revision,
    )


def to_message(keys: TrustedKeys) -> tokens_pb2.TrustState:
    return tokens_pb2.TrustState(
        revision=keys.revision,
        jwks=json.dumps(keys.jwks),
        platform_jwks=json.dumps(keys.platform_jwks),
        revoked_token_ids=sorted(keys.revoked_token_ids),
    )
