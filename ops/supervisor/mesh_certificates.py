"""Certificates of the processes of a supervised mesh: one file each, in the data folder."""

from contextlib import suppress
from pathlib import Path

from kit.base.access.authority import FOLDER
from kit.base.access.certificates import AUTHORITY_FILE, CertificateAuthority, keep_current
from kit.base.access.settings import TlsSettings
from kit.base.clock import Clock
from kit.base.errors import SettingError

CERTIFICATES = Path("keys") / "certificates"
SUFFIX = ".pem"
OWNER_ONLY_FOLDER = 0o700
RENEWAL_INTERVAL_S = 3_600.0


class MeshCertificates:
    """Makes and renews the certificates of one mesh."""

    def __init__(self, data: Path, mesh_id: str, clock: Clock) -> None:
        """Raises SettingError if the keys of the authority cannot be used."""
        self._folder = data / CERTIFICATES
        self._authority_file = data / FOLDER / AUTHORITY_FILE
        self._authority = CertificateAuthority(data / FOLDER, mesh_id, clock)
        self._clock = clock
        self._services: set[str] = set()

    def settings_of(self, service_id: str) -> TlsSettings:
        """Settings of a process. Its certificate is made, and renewed from now on. Raises
        SettingError."""
        self._services.add(service_id)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY_FOLDER)
            keep_current(self._file(service_id), service_id, self._authority)
        except OSError as error:
            allowed = f"cannot be written: {error.strerror}"
            raise SettingError("mesh.data_dir", str(self._folder), allowed) from None
        return TlsSettings(
            required=True,
            certificate_file=str(self._file(service_id)),
            authority_file=str(self._authority_file),
        )

    def variables_of(self, service_id: str) -> dict[str, str]:
        """The same as environment variables."""
        named = self.settings_of(service_id)
        return {
            "VENUEMESH_TLS_REQUIRED": "true",
            "VENUEMESH_TLS_CERTIFICATE_FILE": named.certificate_file,
            "VENUEMESH_TLS_KEY_FILE": named.key_file,
            "VENUEMESH_TLS_AUTHORITY_FILE": named.authority_file,
        }

    async def run(self) -> None:
        """Renew them in time, endlessly."""
        while True:
            await self._clock.sleep(RENEWAL_INTERVAL_S)
            for service_id in sorted(self._services):
                # On a full disk the processes warn before their certificates expire.
                with suppress(OSError):
                    keep_current(self._file(service_id), service_id, self._authority)

    def _file(self, service_id: str) -> Path:
        return self._folder / f"{service_id}{SUFFIX}"
