"""A process may call the methods of TradeFlow that the inspector calls."""

import inspect
import re

from venuemesh.tradeflow.v1 import trade_flow_pb2

from core.inspector import account_reports, venue_processes
from kit.base.access import roles
from kit.base.access.roles import Role

METHODS = trade_flow_pb2.DESCRIPTOR.services_by_name["TradeFlow"].methods_by_name
CALLED = re.compile(r"\bstub\.([A-Z]\w+)")


def test_inspector_has_a_role_of_each_method_that_it_calls():
    source = inspect.getsource(venue_processes) + inspect.getsource(account_reports)
    called = set(CALLED.findall(source))
    assert {"PlaceOrderGroup", "FenceEntries", "Heartbeat", "ListBalances"} <= called
    allowed = {Role.PROCESS, Role.VIEWER}
    assert [
        name for name in sorted(called) if not allowed & roles.of_method(METHODS[name].GetOptions())
    ] == []
