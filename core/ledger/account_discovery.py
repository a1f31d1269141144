"""Starts a collector for each account of each venue in the registry."""

import asyncio
from collections.abc import Callable, Sequence

import grpc
from venuemesh.marketdata.v1 import market_data_pb2_grpc
from venuemesh.registry.v1 import registry_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from core.ledger.execution_collector import (
    CALL_SECONDS_MAX,
    ExecutionCollector,
    VenueAccount,
    VenueInstruments,
)
from kit.base import rpc, telemetry
from kit.base.backoff import delays
from kit.base.clock import Clock
from kit.base.directory import VENUE, ServiceDirectory
from kit.base.paging import whole_list

TRADE_FLOW = trade_flow_pb2.DESCRIPTOR.services_by_name["TradeFlow"].full_name
LOOK_AGAIN_SECONDS = 10.0

_log = telemetry.logger("ledger.intake")

MakeCollector = Callable[[VenueAccount], ExecutionCollector]


class AccountDiscovery:
    """Follows the registry, including changes of a venue's address."""

    def __init__(self, directory: ServiceDirectory, make: MakeCollector, clock: Clock) -> None:
        self._directory = directory
        self._make = make
        self._clock = clock
        self._reading: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._collectors: dict[tuple[str, str], ExecutionCollector] = {}
        """By venue and account."""

    @property
    def unread(self) -> int:
        """How many accounts are not read now."""
        return sum(not one.is_reading for one in self._collectors.values())

    async def run(self) -> None:
        """Read all accounts. Runs forever."""
        async with asyncio.TaskGroup() as group:
            async for services in self._directory.watch(VENUE):
                self._follow([service.instance for service in services], group)

    def _follow(
        self, instances: Sequence[registry_pb2.ServiceInstance], group: asyncio.TaskGroup
    ) -> None:
        for instance in instances:
            if TRADE_FLOW not in instance.grpc_services:
                continue
            address, task = self._reading.get(instance.service_id, ("", None))
            if address == instance.address:
                continue
            if task is not None:
                task.cancel()
            task = group.create_task(self._read(instance), name=f"intake {instance.service_id}")
            self._reading[instance.service_id] = instance.address, task

    async def _read(self, instance: registry_pb2.ServiceInstance) -> None:
        reading: set[str] = set()
        async with (
            rpc.channel(instance.address, service_id=instance.service_id) as channel,
            asyncio.TaskGroup() as group,
        ):
            stub = trade_flow_pb2_grpc.TradeFlowStub(channel)
            market_data = market_data_pb2_grpc.MarketDataStub(channel)
            instruments = VenueInstruments(instance.name, market_data)
            waits = delays(most_seconds=LOOK_AGAIN_SECONDS)
            while True:
                accounts = await self._accounts(instance.name, stub)
                if accounts is None:
                    await self._clock.sleep(next(waits))
                    continue
                for account in accounts:
                    if account.account not in reading:
                        reading.add(account.account)
                        found = VenueAccount(
                            instance.name, account.account, stub, instruments, account.paper
                        )
                        collector = self._make(found)
                        self._collectors[found.venue, found.account] = collector
                        group.create_task(collector.run())
                waits = delays(most_seconds=LOOK_AGAIN_SECONDS)
                await self._clock.sleep(LOOK_AGAIN_SECONDS)

    async def _accounts(
        self, venue: str, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub"
    ) -> Sequence[accounts_pb2.Account] | None:
        """The accounts of a venue; None while it does not answer."""
        request = accounts_pb2.ListAccountsRequest(venue=venue)
        try:
            answer = await whole_list(stub.ListAccounts, request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            _log.debug("no accounts", extra={"venue": venue, "detail": error.details()})
            return None
        return answer.accounts
