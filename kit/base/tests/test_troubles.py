from venuemesh.registry.v1 import registry_pb2

from kit.base.degradation import DegradedReasons
from kit.base.telemetry import Meter


def test_a_process_is_degraded_while_there_is_any_trouble():
    meter = Meter("ingest")
    troubles = DegradedReasons(meter)
    assert meter.state == registry_pb2.SERVICE_STATE_SERVING
    troubles.report("redis", "is away")
    troubles.report("venue kraken", "does not answer")
    assert meter.state == registry_pb2.SERVICE_STATE_DEGRADED
    assert meter.detail == "redis: is away; venue kraken: does not answer"
    troubles.clear("redis")
    assert meter.detail == "venue kraken: does not answer"
    troubles.clear("venue kraken")
    assert (meter.state, meter.detail) == (registry_pb2.SERVICE_STATE_SERVING, "")


def test_a_trouble_is_logged_when_it_begins_not_each_time_it_is_seen(caplog):
    troubles = DegradedReasons(Meter("ingest"))
    for _ in range(3):
        troubles.report("redis", "is away")
    assert caplog.text.count("trouble began") == 1
