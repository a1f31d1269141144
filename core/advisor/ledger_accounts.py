"""Reads equity and positions of all accounts from the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc
from venuemesh.ledger.v1 import ledger_pb2, ledger_pb2_grpc, postings_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import UnknownService
from kit.base.paging import whole_list
from kit.base.service_channels import ServiceChannels

LEDGER = "ledger"
"""The kind of the ledger's processes."""
CALL_SECONDS_MAX = 5.0
PAGE_SIZE = 1_000

_log = telemetry.logger("advisor.ledger")


class EquityKey(NamedTuple):
    """An asset of an account."""

    venue: str
    account: str
    asset: str


class PositionKey(NamedTuple):
    """A strategy's position in an instrument, in an asset of the ledger."""

    venue: str
    account: str
    symbol: str
    strategy: str
    asset: str


@dataclass(frozen=True, slots=True)
class AccountsSnapshot:
    """Equity and positions at a time, as decimal text."""

    time_ns: int = 0
    """0 before the first answer."""
    equities: Mapping[EquityKey, str] = field(default_factory=dict)
    balances: Mapping[PositionKey, str] = field(default_factory=dict)


class LedgerAccounts:
    """Reads equity and positions periodically."""

    def __init__(self, channels: ServiceChannels, interval_s: float, clock: Clock) -> None:
        """``channels``: of LEDGER."""
        self._channels = channels
        self._interval_s = interval_s
        self._clock = clock
        self.newest = AccountsSnapshot()

    async def run(self) -> None:
        """Read forever. While the ledger is unreachable, the last snapshot stays, with its time."""
        while True:
            try:
                self.newest = await self._read()
            except (UnknownService, grpc.aio.AioRpcError) as error:
                _log.debug("not read", extra={"detail": str(error)})
            await self._clock.sleep(self._interval_s)

    async def _read(self) -> AccountsSnapshot:
        stub = ledger_pb2_grpc.LedgerStub(await self._channels.channel(LEDGER))
        time_ns = self._clock.time_ns()
        equity = await stub.GetEquity(ledger_pb2.GetEquityRequest(), timeout=CALL_SECONDS_MAX)
        request = ledger_pb2.GetBalancesRequest(
            filter=ledger_pb2.AccountFilter(code=postings_pb2.ACCOUNT_CODE_POSITION),
            page_size=PAGE_SIZE,
        )
        positions = await whole_list(stub.GetBalances, request, timeout=CALL_SECONDS_MAX)
        return AccountsSnapshot(
            time_ns,
            {EquityKey(one.venue, one.account, one.asset): one.equity for one in equity.equities},
            {_key(one.account): one.balance for one in positions.balances},
        )


def _key(account: postings_pb2.LedgerAccount) -> PositionKey:
    parts = account.venue, account.account, account.symbol, account.strategy, account.asset
    return PositionKey(*parts)
