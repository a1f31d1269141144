"""Settings of the section "gateway"."""

import msgspec

from kit.base.errors import SettingError

PORT_MAX = 65_535


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of the gateway, and the hosts that may call it."""

    port: int = 8082
    """gRPC port of the registry process. Metrics are on port + 10000."""
    public_port: int = 8081
    """Envoy's public port, the only one that clients need. Metrics are on public_port + 10000."""
    admin_port: int = 8083
    """Envoy's admin interface, always on the loopback."""
    web_port: int = 8084
    """Port of the pages, which Envoy fetches from the registry process."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Host names by which the gateway may be called, also by web pages; "*" allows any. A web page
    of another host is rejected, so that no site in the user's browser can control the mesh."""
    studio_dir: str = "studio/dist"
    """Folder of the built Studio."""
    supervisor: str = ""
    """host:port of the supervisor that starts and stops venues. Empty: none, as with containers."""

    def __post_init__(self) -> None:
        for key in ("port", "public_port", "admin_port", "web_port"):
            value = getattr(self, key)
            if not 1 <= value <= PORT_MAX:
                raise SettingError(f"gateway.{key}", value, f"allowed are 1 to {PORT_MAX}")
        if not self.hosts:
            raise SettingError("gateway.hosts", "", 'name at least one host, or "*"')
