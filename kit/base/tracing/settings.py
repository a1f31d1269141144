"""Settings of the section "telemetry"."""

from urllib.parse import urlsplit

import msgspec

from kit.base.errors import SettingError


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces are sent, and where metrics are served."""

    metrics_host: str = "127.0.0.1"
    """Address on which metrics are served, without a token: their port is 10000 above that of the
    process, of Envoy 10000 above gateway.public_port. 0.0.0.0: on all, so that Prometheus on
    another machine reaches them, as everybody else there does."""
    otlp_endpoint: str = ""
    """http://host:port of an OpenTelemetry collector that takes OTLP over gRPC, usually port 4317.
    Empty: no traces."""
    trace_sample_ratio: float = 1.0
    """Share of the calls that are traced, from 0 to 1. The gateway decides for the calls that it
    forwards."""

    def __post_init__(self) -> None:
        if not 0 <= self.trace_sample_ratio <= 1:
            key = "telemetry.trace_sample_ratio"
            raise SettingError(key, self.trace_sample_ratio, "allowed are 0 to 1")
        if self.otlp_endpoint:
            self.collector()

    def collector(self) -> tuple[str, int]:
        """Host and port of the collector. Raises SettingError for another address than http."""
        parts = urlsplit(self.otlp_endpoint)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if parts.scheme != "http" or not host or not port:
            allowed = "must be http://host:port, as http://127.0.0.1:4317"
            raise SettingError("telemetry.otlp_endpoint", self.otlp_endpoint, allowed)
        return host, port
