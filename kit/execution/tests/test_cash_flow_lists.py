"""ListCashFlows: pages of what the venue lists."""

from decimal import Decimal

import grpc
import pytest
from venuemesh.tradeflow.v1 import cash_flows_pb2

from kit.base.errors import BadPageToken, VenueUnavailable, error_info
from kit.execution.cash_flow_lists import ANSWER_NS, list_cash_flows
from kit.execution.cash_flows import CashFlowsPage, VenueCashFlow
from kit.execution.context import AccountContext
from kit.execution.settings import OrdersSettings
from kit.execution.tests.test_service import serving
from tests.support.manual_clock import ManualClock

FUNDING = cash_flows_pb2.CASH_FLOW_KIND_FUNDING
TRANSFER = cash_flows_pb2.CASH_FLOW_KIND_TRANSFER
SPAN_NS = 100


def flow(time_ns, number, kind=FUNDING, amount="-0.5"):
    return VenueCashFlow(str(number), kind, "", "USDT", Decimal(amount), time_ns, "text")


class Client:
    """A client whose venue lists flows in spans of 100 ns, up to a time."""

    def __init__(self, flows, clock, end_ns=1_000, span_takes_ns=0):
        self.flows, self.clock = flows, clock
        self.end_ns, self.span_takes_ns = end_ns, span_takes_ns
        self.spans = 0
        self.first_spans = []

    async def cash_flows(self, since_time_ns, span_ns=0):
        self.first_spans.append(span_ns)
        for begin_ns in range(since_time_ns, self.end_ns, SPAN_NS):
            self.spans += 1
            if self.span_takes_ns:
                self.clock.now_ns += self.span_takes_ns
            end_ns = begin_ns + SPAN_NS
            found = [one for one in self.flows if begin_ns <= one.venue_time_ns < end_ns]
            yield CashFlowsPage(sorted(found, key=lambda one: one.position), end_ns, end_ns // 2)


async def ask(client, **fields):
    context = AccountContext("fake", "main", client.clock, OrdersSettings())
    request = cash_flows_pb2.ListCashFlowsRequest(venue="fake", account="main", **fields)
    return await list_cash_flows(client, context, request)


async def ask_all(client, **fields):
    found, token = [], ""
    while True:
        answer = await ask(client, page_token=token, **fields)
        found.append([one.cash_flow_id for one in answer.cash_flows])
        token = answer.next_page_token
        if not token:
            return found


async def test_pages_are_oldest_first_and_have_each_change_once():
    flows = [flow(250, 1), flow(250, 2), flow(250, 2, TRANSFER), flow(10, 0), flow(990, 9)]
    client = Client(flows, ManualClock())
    assert await ask_all(client, page_size=2) == [["0", "1"], ["2", "2"], ["9"]]
    assert await ask_all(client, start_time_ns=251) == [["9"]]
    assert await ask_all(client) == [["0", "1", "2", "2", "9"]]


async def test_all_fields_are_as_the_venue_lists_them():
    client = Client([flow(7, "id", TRANSFER, "-1.500000000000000001")], ManualClock())
    (found,) = (await ask(client)).cash_flows
    assert found == cash_flows_pb2.CashFlow(
        venue="fake",
        account="main",
        cash_flow_id="id",
        kind=TRANSFER,
        asset="USDT",
        amount="-1.500000000000000001",
        venue_time_ns=7,
        detail="text",
    )


async def test_a_full_page_reads_no_further():
    client = Client([flow(number, number) for number in range(100)], ManualClock())
    assert len((await ask(client, page_size=3)).cash_flows) == 3
    assert client.spans == 1


async def test_a_long_history_is_answered_in_parts():
    client = Client([flow(10, 0), flow(990, 9)], ManualClock(), span_takes_ns=ANSWER_NS // 2)
    first = await ask(client)
    assert [one.cash_flow_id for one in first.cash_flows] == ["0"]
    assert client.spans == 2
    client.first_spans.clear()
    assert await ask_all(client) == [["0"], [], [], [], ["9"], []]
    # With the span that the last part has ended with.
    assert client.first_spans == [0, 100, 200, 300, 400, 500]


async def test_a_token_of_another_list_is_rejected():
    client = Client([flow(10, 0), flow(11, 1)], ManualClock())
    token = (await ask(client, page_size=1)).next_page_token
    with pytest.raises(BadPageToken):
        await ask(client, page_token=token, start_time_ns=5)


async def test_an_error_of_the_venue_is_the_answer():
    class Broken(Client):
        async def cash_flows(self, since_time_ns, span_ns=0):
            yield CashFlowsPage((), since_time_ns + 1)
            raise VenueUnavailable("away", detail="away")

    with pytest.raises(VenueUnavailable):
        await ask(Broken([], ManualClock()))


async def test_the_service_answers_for_its_accounts(tmp_path):
    async with serving(tmp_path) as served:
        served.account.client.cash_flows = Client([flow(7, 1)], served.clock).cash_flows
        request = cash_flows_pb2.ListCashFlowsRequest(venue="fake", account="main")
        answer = await served.stub.ListCashFlows(request)
        assert [one.cash_flow_id for one in answer.cash_flows] == ["1"]
        request.account = "none"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await served.stub.ListCashFlows(request)
        assert error_info(refused.value).reason == "UNKNOWN_ACCOUNT"
