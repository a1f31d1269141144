"""Which accounts are read, and when."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

import grpc
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, trade_flow_pb2_grpc

from core.ledger.account_discovery import LOOK_AGAIN_SECONDS, TRADE_FLOW, AccountDiscovery
from kit.base.clock import SystemClock


class Venue(trade_flow_pb2_grpc.TradeFlowServicer):
    """Does not answer at first."""

    def __init__(self) -> None:
        self.asked = 0

    async def ListAccounts(self, request, context):
        self.asked += 1
        if self.asked <= 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return accounts_pb2.ListAccountsResponse(accounts=[accounts_pb2.Account(account="main")])


class Directory:
    """One venue."""

    def __init__(self, port: int) -> None:
        self._instance = registry_pb2.ServiceInstance(
            service_id="binance",
            name="binance",
            address=f"127.0.0.1:{port}",
            grpc_services=[TRADE_FLOW],
        )

    async def watch(self, kind):
        yield [registry_pb2.Service(instance=self._instance)]
        await asyncio.Event().wait()


async def test_a_venue_that_does_not_answer_is_asked_again_at_once() -> None:
    server, venue = grpc.aio.server(), Venue()
    trade_flow_pb2_grpc.add_TradeFlowServicer_to_server(venue, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    made = asyncio.Queue()

    def make(account):
        made.put_nowait((account.venue, account.account))
        return SimpleNamespace(run=asyncio.Event().wait)

    task = asyncio.create_task(AccountDiscovery(Directory(port), make, SystemClock()).run())
    async with asyncio.timeout(LOOK_AGAIN_SECONDS):
        assert await made.get() == ("binance", "main")
    assert venue.asked == 4
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await server.stop(None)
