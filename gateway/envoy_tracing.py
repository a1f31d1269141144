"""Envoy's part of a trace: the first span of each call, sent to an OpenTelemetry collector."""

from typing import Any

from gateway.envoy_clusters import Endpoint, grpc_cluster
from kit.base.tracing.settings import TelemetrySettings

COLLECTOR = "otlp-collector"
SERVICE_NAME = "gateway"
EXPORT_TIMEOUT = "1s"
PERCENT = 100

Json = dict[str, Any]


def cluster(settings: TelemetrySettings) -> list[Json]:
    """The cluster of the collector, for static resources; none without a collector."""
    if not settings.otlp_endpoint:
        return []
    made = grpc_cluster(COLLECTOR, [Endpoint(*settings.collector())])
    # A static resource is not an "Any" and has no type.
    del made["@type"]
    return [made]


def manager_options(settings: TelemetrySettings) -> Json:
    """Options of a connection manager whose calls are traced; none without a collector."""
    if not settings.otlp_endpoint:
        return {}
    provider = {
        "name": "envoy.tracers.opentelemetry",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": COLLECTOR},
                "timeout": EXPORT_TIMEOUT,
            },
            "service_name": SERVICE_NAME,
        },
    }
    share = {"value": settings.trace_sample_ratio * PERCENT}
    return {"tracing": {"provider": provider, "random_sampling": share}}
