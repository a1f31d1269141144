"""TLS between the processes of a mesh: both sides show a certificate of its authority."""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from kit.base import telemetry
from kit.base.access.certificates import WARNING_SHARE, Validity, dns_name, require_pair
from kit.base.access.settings import TlsSettings
from kit.base.clock import Clock
from kit.base.errors import SettingError
from kit.base.reloaded_file import ReloadedFile
from kit.base.secret_files import read_secret

Options = tuple[tuple[str, int | str], ...]

CHECK_INTERVAL_S = 3_600.0

_log = telemetry.logger("tls")


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """What a process shows, and whom it trusts. PEM."""

    authority: bytes
    key: bytes
    chain: bytes
    validity: Validity

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.authority, self.key, self.chain)


class MeshTls:
    """The certificate of this process. A renewed one is used for new connections without a
    restart."""

    def __init__(self, settings: TlsSettings, clock: Clock) -> None:
        """Raises SettingError if a file cannot be used."""
        settings.require_files()
        self._settings = settings
        self._clock = clock
        self._file = ReloadedFile(
            Path(settings.certificate_file), self._read, clock, missing=None, unreadable=None
        )
        self._served = self.shown
        self._contexts: list[ssl.SSLContext] = []

    @property
    def shown(self) -> ShownCertificate:
        """Another object when the file has changed; the last one while it cannot be used."""
        return self._file.content

    def server_credentials(self) -> grpc.ServerCredentials:
        """Clients must show a certificate."""
        return grpc.dynamic_ssl_server_credentials(
            _server_configuration(self._served), self._renewed, require_client_authentication=True
        )

    def server_context(self) -> ssl.SSLContext:
        """The same for a server that is not gRPC's. It follows renewals while ``run`` runs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.shown.authority.decode())
        self._contexts.append(context)
        self._load_contexts()
        return context

    def expires_time_s(self) -> float:
        """s since the Unix epoch."""
        return self.shown.validity.end_s

    async def run(self) -> None:
        """Look at the certificate each hour, endlessly. It is in the log while it should have been
        renewed."""
        while True:
            validity = self.shown.validity
            self._load_contexts()
            if validity.left(self._clock) < WARNING_SHARE:
                _log.warning(
                    "certificate not renewed",
                    extra={"file": self._settings.certificate_file, "expires_s": validity.end_s},
                )
            await self._clock.sleep(CHECK_INTERVAL_S)

    def _load_contexts(self) -> None:
        named = self._settings
        for context in self._contexts:
            # A file that cannot be used is in the log; the present certificate stays in use.
            with suppress(OSError):
                context.load_cert_chain(named.certificate_file, named.key_file or None)

    def _renewed(self) -> Any:
        """Asked for by gRPC for each connection. None: the present one stays in use."""
        shown = self.shown
        if shown is self._served:
            return None
        self._served = shown
        return _server_configuration(shown)

    def _read(self, file: Path) -> ShownCertificate:
        named = self._settings
        chain = _content("tls.certificate_file", str(file))
        key = _content("tls.key_file", named.key_file) if named.key_file else chain
        authority = _content("tls.authority_file", named.authority_file)
        try:
            require_pair(chain, key)
            return ShownCertificate(authority, key, chain, Validity.of(chain))
        except ValueError as error:
            setting = "tls.key_file" if named.key_file else "tls.certificate_file"
            allowed = f"must have the certificate and its key as PEM: {error}"
            raise SettingError(setting, named.key_file or str(file), allowed) from None


def target_options(service_id: str) -> Options:
    """The service that must answer; "": any process of the mesh."""
    return (("grpc.ssl_target_name_override", dns_name(service_id)),)


def certified_name(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """The service that the caller's certificate names."""
    names = context.auth_context().get("x509_common_name", ())
    return b"".join(names).decode()


def _server_configuration(shown: ShownCertificate) -> Any:
    return grpc.ssl_server_certificate_configuration([(shown.key, shown.chain)], shown.authority)


def _content(setting: str, file: str) -> bytes:
    try:
        return read_secret(file).encode()
    except OSError as error:
        raise SettingError(setting, file, f"cannot be read: {error.strerror or error}") from None
