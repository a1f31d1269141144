"""Settings of the section "push"."""

import msgspec

from kit.base.errors import SettingError


class PushSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "push"."""

    port: int = 8087
    """gRPC port, of Admin. Metrics are on port + 10000."""
    http_port: int = 8089
    """Port of the websocket, to which the gateway passes /ws."""
    connections_max: int = 2_000
    """Connections at a time; one more is refused with TOO_MANY_SUBSCRIBERS."""
    subscriptions_max: int = 200
    """Subscriptions of one connection."""
    topics_max: int = 200
    """Different topics at a time. Each is one stream of another process."""
    history_bytes_max: int = 4 * 1024 * 1024
    """Encoded messages that a lossless topic keeps. A subscription that is further behind ends."""
    write_buffer_bytes: int = 256 * 1024
    """What may wait in the socket of a connection before its subscriptions wait."""
    message_bytes_max: int = 64 * 1024
    """The largest message of a client."""
    heartbeat_interval_s: float = 10.0
    """How often a connection gets a heartbeat, and a ping, which its client answers within the same
    time."""
    linger_s: float = 30.0
    """How long a topic without subscribers goes on, for clients that come back."""

    def __post_init__(self) -> None:
        for key in self.__struct_fields__:
            if getattr(self, key) <= 0:
                raise SettingError(f"push.{key}", getattr(self, key), "must be above 0")
