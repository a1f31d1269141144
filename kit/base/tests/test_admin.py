"""What Admin answers to a call that was meant for another process."""

from typing import Any

import pytest
from venuemesh.admin.v1 import admin_pb2
from venuemesh.registry.v1 import registry_pb2

from kit.base.access.made_calls import MadeCalls
from kit.base.admin import AdminServicer
from kit.base.clock import SystemClock
from kit.base.errors import BadRequest
from kit.base.recent_logs import RecentLogs
from kit.base.telemetry import Meter

SERVICE = admin_pb2.DESCRIPTOR.services_by_name["Admin"]
METHODS = [method.name for method in SERVICE.methods]
CONTEXT: Any = None


class Drained:
    """Counts drains."""

    count = 0

    def __call__(self) -> None:
        self.count += 1


def servicer(drain: Drained) -> AdminServicer:
    instance = registry_pb2.ServiceInstance(service_id="history", instance_id="host-8114")
    clock = SystemClock()
    logs = RecentLogs(0, clock)
    return AdminServicer(instance, Meter("history"), drain, MadeCalls(clock), logs)


@pytest.mark.parametrize("named", ["recorder", "history@host-9", "history@"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_request_names_no_other_process(method: str, named: str) -> None:
    request = getattr(admin_pb2, f"{method}Request")(service_id=named)
    drained = Drained()
    answer = getattr(servicer(drained), method)(request, CONTEXT)
    with pytest.raises(BadRequest) as refused:
        await (anext(answer) if hasattr(answer, "__anext__") else answer)
    assert refused.value.metadata["value"] == named
    assert "history," in refused.value.message
    assert drained.count == 0


@pytest.mark.parametrize("named", ["", "history", "history@host-8114"])
async def test_a_request_may_name_the_process_or_nobody(named: str) -> None:
    drained = Drained()
    await servicer(drained).Drain(admin_pb2.DrainRequest(service_id=named), CONTEXT)
    assert drained.count == 1
