"""The settings of the door for models."""

import re

import msgspec

from kit.base.errors import SettingError

PORT_MAX = 65_535
GATEWAY = re.compile(r"https?://[^/\s]+")


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "mcp"."""

    port: int = 8086
    """gRPC port, of Admin."""
    http_port: int = 8088
    """Port of the HTTP server, to which the gateway sends /mcp."""
    gateway: str = "http://127.0.0.1:8081"
    """URL of the gateway, through which the tools call the mesh."""
    calls_at_once: int = 64
    """Calls to the gateway at a time, at most; others wait."""
    answer_characters_max: int = 24_000
    """Size of an answer to a model. Of a longer one it gets the first rows."""
    trading_tools: bool = False
    """Whether models with the role trader may propose orders. Nothing is sent before another caller
    has confirmed it."""

    def __post_init__(self) -> None:
        for key in ("port", "http_port"):
            value = getattr(self, key)
            if not 1 <= value <= PORT_MAX:
                raise SettingError(f"mcp.{key}", value, f"allowed are 1 to {PORT_MAX}")
        if not GATEWAY.fullmatch(self.gateway):
            allowed = "scheme, host and port only, as http://127.0.0.1:8081"
            raise SettingError("mcp.gateway", self.gateway, allowed)
        for key, least in (("calls_at_once", 1), ("answer_characters_max", 2_000)):
            if getattr(self, key) < least:
                raise SettingError(f"mcp.{key}", getattr(self, key), f"allowed are {least} or more")
