"""Settings of the section "gateway"."""

import re

import msgspec

from kit.base.access.call_guard import SESSION_COOKIES
from kit.base.errors import SettingError

PORT_MAX = 65_535
CALLS_PER_SECOND_MAX = 1_000_000
ANY_HOST = "*"
ORIGIN = re.compile(r"https?://[^/\s*]+")


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The ports of the gateway, and the hosts that may call it."""

    port: int = 8082
    """gRPC port of the registry process. Metrics are on port + 10000."""
    public_port: int = 8081
    """Envoy's public port, the only one that clients need. Metrics are on public_port + 10000."""
    web_port: int = 8084
    """Port of the pages, which Envoy fetches from the registry process."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Host names by which the gateway may be called, also by web pages that it serves; "*" allows
    any name and any page. Pages of other hosts and ports are rejected, so that no site in the
    user's browser can control the mesh."""
    origins: tuple[str, ...] = ()
    """Further web pages that may call, each as its origin: https://studio.example.com. A gateway
    behind TLS is one of them."""
    calls_per_second: int = 1_000
    """Calls of one token per second, at most; twice as many at once. Calls of TradeFlow do not
    count."""
    admin_socket: str = ""
    """Unix socket of Envoy's administration, for its owner only. Empty: envoy/admin.sock in
    mesh.data_dir."""
    studio_dir: str = "studio/dist"
    """Folder of the built Studio."""
    supervisor: str = ""
    """host:port of the supervisor that starts and stops venues. Empty: none, as with containers."""

    @property
    def session_cookie(self) -> str:
        """The cookie of the sessions of browsers."""
        return f"{SESSION_COOKIES}{self.public_port}"

    def __post_init__(self) -> None:
        for key in ("port", "public_port", "web_port"):
            value = getattr(self, key)
            if not 1 <= value <= PORT_MAX:
                raise SettingError(f"gateway.{key}", value, f"allowed are 1 to {PORT_MAX}")
        if not self.hosts:
            raise SettingError("gateway.hosts", "", 'name at least one host, or "*"')
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                allowed = "scheme, host and port only, as https://studio.example.com"
                raise SettingError("gateway.origins", origin, allowed)
        if not 1 <= self.calls_per_second <= CALLS_PER_SECOND_MAX:
            allowed = f"allowed are 1 to {CALLS_PER_SECOND_MAX}"
            raise SettingError("gateway.calls_per_second", self.calls_per_second, allowed)
