"""Finds out what an account had before the ledger knew it, of which no execution tells.

The venue's balances are read again and again. They are those of a time from which on nothing has
moved: the later ones are the same, and nothing is known to have happened since. Whatever is known
up to that time is in them, and whatever comes later is not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2, trade_flow_pb2_grpc

from core.ledger.reported_events import balances_opened, position_opened
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.paging import whole_list

CALL_SECONDS_MAX = 60.0
CLOCKS_NS = 5 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be from ours, and a balance behind its fill."""
QUIET_SECONDS = 180.0
"""A venue's process asks for all balances every minute (orders.reconcile_interval_s)."""


class OpeningWaits(Exception):
    """What the account had is not known yet. The text has the reason."""


@dataclass(frozen=True, slots=True)
class _Report:
    """What the venue states."""

    asked_ns: int
    as_of_ns: int
    balances: tuple[tuple[str, str], ...]
    """Assets and amounts."""
    positions: tuple[tuple[str, str, str], ...]
    """Symbols, sizes and entry prices."""

    def is_equal(self, other: "_Report") -> bool:
        return (self.balances, self.positions) == (other.balances, other.positions)


class AccountOpening:
    """Of one account."""

    def __init__(
        self,
        venue: str,
        account: str,
        stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub",
        clock: Clock,
    ) -> None:
        self._venue, self._account = venue, account
        self._stub = stub
        self._clock = clock
        self._first: _Report | None = None

    async def events(self, newest_ns: int, held_symbols: Iterable[str]) -> list[event_pb2.Event]:
        """The events of the opening, each time the same ones once it is known.

        ``newest_ns``: of the newest execution that is known, after all have been listed.
        ``held_symbols``: in which there is a position by the executions. Raises OpeningWaits and
        grpc.aio.AioRpcError.
        """
        report = await self._report()
        first = self._first
        if first is None or not first.is_equal(report) or newest_ns > first.asked_ns - CLOCKS_NS:
            self._first = first = report
        since_s = (report.as_of_ns - first.asked_ns) / NANOSECONDS_PER_SECOND
        if since_s < QUIET_SECONDS:
            raise OpeningWaits(
                f"balances from before the first execution are booked once nothing has moved for "
                f"{QUIET_SECONDS:g} s, now for {max(0, since_s):.0f} s: until then cash lacks them"
            )
        for symbol, _, price in first.positions:
            if not price:
                raise OpeningWaits(
                    f"the venue states no entry price of the position in {symbol}, so its cost is "
                    "not known: close it, and the balances are booked"
                )
        return list(self._events(first, held_symbols))

    def _events(self, report: _Report, held_symbols: Iterable[str]) -> Iterator[event_pb2.Event]:
        place, time_ns = (self._venue, self._account), report.asked_ns
        for position in _stated(report, held_symbols):
            yield position_opened(*place, position, time_ns)
        balances = [orders_pb2.Balance(asset=name, total=total) for name, total in report.balances]
        yield balances_opened(*place, balances, time_ns)

    async def _report(self) -> _Report:
        """What the venue has stated last. Raises OpeningWaits unless the account is READY."""
        asked_ns = self._clock.time_ns()
        accounts = await whole_list(
            self._stub.ListAccounts,
            accounts_pb2.ListAccountsRequest(venue=self._venue),
            timeout=CALL_SECONDS_MAX,
        )
        states = {one.account: one.state for one in accounts.accounts}
        if states.get(self._account) != accounts_pb2.ACCOUNT_STATE_READY:
            self._first = None
            raise OpeningWaits("the account is not READY, so its balances are not known")
        balances = await whole_list(
            self._stub.ListBalances,
            trade_flow_pb2.ListBalancesRequest(venue=self._venue, account=self._account),
            timeout=CALL_SECONDS_MAX,
        )
        positions = await whole_list(
            self._stub.ListPositions,
            trade_flow_pb2.ListPositionsRequest(venue=self._venue, account=self._account),
            timeout=CALL_SECONDS_MAX,
        )
        # A venue without derivatives states no positions.
        times_ns = [time for time in (balances.as_of_time_ns, positions.as_of_time_ns) if time]
        return _Report(
            asked_ns,
            min(times_ns, default=0),
            tuple(sorted((one.asset, one.total) for one in balances.balances)),
            tuple(sorted((one.symbol, one.size, one.entry_price) for one in positions.positions)),
        )


def _stated(report: _Report, held_symbols: Iterable[str]) -> Iterable[orders_pb2.Position]:
    """The positions, also those that are by executions and not at the venue."""
    positions = {
        symbol: orders_pb2.Position(symbol=symbol, size=size, entry_price=price)
        for symbol, size, price in report.positions
    }
    for symbol in held_symbols:
        positions.setdefault(symbol, orders_pb2.Position(symbol=symbol, size="0"))
    return positions.values()
