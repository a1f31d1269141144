from venuemesh.registry.v1 import registry_pb2

from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter


def test_a_process_is_degraded_while_it_has_a_reason():
    meter = Meter("ingest")
    degraded_reasons = DegradedReasons(meter)
    assert meter.state == registry_pb2.SERVICE_STATE_SERVING
    degraded_reasons.report("redis", "is away")
    degraded_reasons.report("venue kraken", "does not answer")
    assert meter.state == registry_pb2.SERVICE_STATE_DEGRADED
    assert meter.detail == "redis: is away; venue kraken: does not answer"
    degraded_reasons.clear("redis")
    assert meter.detail == "venue kraken: does not answer"
    degraded_reasons.clear("venue kraken")
    assert (meter.state, meter.detail) == (registry_pb2.SERVICE_STATE_SERVING, "")


def test_a_reason_is_logged_once_when_it_is_added(caplog):
    degraded_reasons = DegradedReasons(Meter("ingest"))
    for _ in range(3):
        degraded_reasons.report("redis", "is away")
    assert caplog.text.count("degraded reason added") == 1
