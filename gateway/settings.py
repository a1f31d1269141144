"""Settings of the section "gateway"."""

import msgspec

from kit.base.errors import SettingError

PORT_MAX = 65_535


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of the door, and who may come in."""

    port: int = 8082
    """gRPC port of the registry process. Metrics are on port + 10000."""
    public_port: int = 8081
    """Envoy: the one port that callers need. Its metrics are on public_port + 10000."""
    admin_port: int = 8083
    """Envoy's administration, always on the loopback."""
    web_port: int = 8084
    """Pages, which Envoy fetches from the registry process."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names under which the gateway may be called, by pages too; "*" is any. A web page from
    another host is refused, so that no site in the user's browser can drive the mesh."""
    studio_dir: str = "studio/dist"
    """Studio as it was built."""
    supervisor: str = ""
    """host:port of the supervisor that starts and stops venues. Empty: there is none, as with
    containers."""

    def __post_init__(self) -> None:
        for key in ("port", "public_port", "admin_port", "web_port"):
            value = getattr(self, key)
            if not 1 <= value <= PORT_MAX:
                raise SettingError(f"gateway.{key}", value, f"allowed are 1 to {PORT_MAX}")
        if not self.hosts:
            raise SettingError("gateway.hosts", "", 'name at least one host, or "*"')
