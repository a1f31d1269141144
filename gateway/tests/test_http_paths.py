"""The processes behind the paths that are served over HTTP."""

import pytest

from gateway import http_paths
from gateway.registry import ServiceRegistry
from gateway.tests.fakes import StillClock, instance
from kit.base.errors import BadRequest


def registered(service_id, http_address):
    one = instance(service_id, "mcp", "mcp", "127.0.0.1:1")
    one.http_address = http_address
    return one


@pytest.mark.parametrize("wrong", ["127.0.0.1", "127.0.0.1:0", "host name:1"])
def test_an_http_address_is_one_that_envoy_can_call(wrong):
    registry = ServiceRegistry(StillClock())
    with pytest.raises(BadRequest) as caught:
        registry.register(registered("mcp", wrong))
    assert caught.value.metadata["field"] == "instance.http_address"


def test_a_path_has_all_processes_of_its_kind_that_serve_http():
    registry = ServiceRegistry(StillClock())
    for service_id, address in (("mcp", "h:1"), ("mcp-2", "h:2"), ("mcp-3", "")):
        registry.register(registered(service_id, address))
    registry.register(instance("history", "history", "history", "h:3"))
    found = {target.path.path: target for target in http_paths.targets(registry.services())}
    assert [one.port for one in found["/mcp"].endpoints] == [1, 2]
    assert found["/mcp"].service_ids == ("mcp", "mcp-2")
