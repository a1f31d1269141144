"""Settings of the section "access"."""

from pathlib import Path

import msgspec

from kit.base.access import authority
from kit.base.access.tokens import PlatformIssuer
from kit.base.errors import SettingError
from kit.base.hosts import LOOPBACK_HOSTS
from kit.base.settings import MeshSettings


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Encryption between the processes of the mesh."""

    required: bool = False
    """Whether processes, and Envoy before them, call each other by TLS and show certificates."""
    certificate_file: str = ""
    """Certificate of this process, PEM. Its common name is the service id, its DNS names are
    SERVICE.venuemesh and process.venuemesh. Read again when it changes. ./venuemesh up makes it."""
    key_file: str = ""
    """Its key, PEM. Empty: in certificate_file, where both are replaced at once."""
    authority_file: str = ""
    """Certificate of the authority that signs the certificates of this mesh, PEM. Read again when
    certificate_file changes."""

    def require_files(self) -> None:
        """Raise SettingError where a process could not show or check a certificate."""
        for key in ("certificate_file", "authority_file"):
            if not getattr(self, key):
                raise SettingError(f"tls.{key}", "", "must name a file while tls.required is true")


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call."""

    required: bool = True
    """Whether a call needs a token. false is allowed on the loopback only, and not in the world
    live."""
    token_file: str = ""
    """File with the token that this process shows to others. A path /dev/fd/N is read once."""
    trust_file: str = ""
    """File with the mesh's public keys. Empty: keys/authority/jwks.json in mesh.data_dir."""
    streams_max: int = 256
    """Streams of one token at one process."""
    issuer: str = ""
    """Issuer of the platform's tokens, the claim "iss". Empty: only tokens of the mesh."""
    audience: str = ""
    """The claim "aud" of the platform's tokens."""
    jwks_url: str = ""
    """Address of the platform's public keys, a JSON Web Key Set. The registry process reads it."""
    roles_claim: str = "roles"
    """The claim with the roles in the platform's tokens."""

    def __post_init__(self) -> None:
        if self.streams_max < 1:
            raise SettingError("access.streams_max", self.streams_max, "allowed are 1 and more")
        given = [bool(value) for value in (self.issuer, self.audience, self.jwks_url)]
        if any(given) and not all(given):
            allowed = "set access.issuer, access.audience and access.jwks_url together"
            raise SettingError("access.issuer", self.issuer, allowed)
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://127.0.0.1")):
            raise SettingError("access.jwks_url", self.jwks_url, "allowed is https")

    @property
    def platform(self) -> PlatformIssuer | None:
        if not self.issuer:
            return None
        return PlatformIssuer(self.issuer, self.audience, self.roles_claim)

    def trusted_keys_file(self, mesh: MeshSettings) -> Path:
        if self.trust_file:
            return Path(self.trust_file)
        return Path(mesh.data_dir) / authority.FOLDER / authority.PUBLIC_FILE

    def check_with(self, mesh: MeshSettings) -> None:
        """Raise SettingError where calls without a token would be dangerous."""
        if self.required:
            return
        if mesh.world == "live":
            raise SettingError("access.required", False, "must be true in the world live")
        if mesh.host not in LOOPBACK_HOSTS:
            allowed = f"must be true where others can connect: mesh.host is {mesh.host}"
            raise SettingError("access.required", False, allowed)
