"""The opening of an account is what the venue states at a time around which nothing moves."""

import pytest
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2, trade_flow_pb2

from core.ledger.account_opening import CLOCKS_NS, QUIET_SECONDS, AccountOpening, OpeningWaits
from kit.base.clock import NANOSECONDS_PER_SECOND
from tests.support.manual_clock import ManualClock

READY, RECONCILING = (
    accounts_pb2.ACCOUNT_STATE_READY,
    accounts_pb2.ACCOUNT_STATE_RECONCILING,
)
MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
START_NS = ManualClock().time_ns()


class Venue:
    """A venue's process whose reports are always of now."""

    def __init__(self, clock) -> None:
        self.clock = clock
        self.state = READY
        self.balances = {"BTC": "3", "USDT": "5000"}
        self.positions: dict[str, tuple[str, str]] = {}
        self.is_asked_again = True
        self.as_of_ns = 0

    def _as_of_ns(self) -> int:
        if self.is_asked_again:
            self.as_of_ns = self.clock.time_ns()
        return self.as_of_ns

    async def ListAccounts(self, request, timeout):
        accounts = [
            accounts_pb2.Account(account="main", state=self.state),
            accounts_pb2.Account(account="other", state=RECONCILING),
        ]
        return accounts_pb2.ListAccountsResponse(accounts=accounts)

    async def ListBalances(self, request, timeout):
        found = [orders_pb2.Balance(asset=name, total=one) for name, one in self.balances.items()]
        return trade_flow_pb2.ListBalancesResponse(balances=found, as_of_time_ns=self._as_of_ns())

    async def ListPositions(self, request, timeout):
        found = [
            orders_pb2.Position(symbol=symbol, size=size, entry_price=price)
            for symbol, (size, price) in self.positions.items()
        ]
        return trade_flow_pb2.ListPositionsResponse(
            positions=found, as_of_time_ns=self.as_of_ns if found else 0
        )


class Looking:
    """An opening that is looked for every minute."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.venue = Venue(self.clock)
        self.opening = AccountOpening("binance", "main", self.venue, self.clock)
        self.newest_ns = 0
        self.held: list[str] = []

    async def look(self):
        """What is found now; None: nothing yet. A minute passes."""
        try:
            return await self.opening.events(self.newest_ns, self.held)
        except OpeningWaits:
            return None
        finally:
            await self.clock.advance(60.0)

    async def minutes(self, most: int = 20) -> int:
        for minute in range(most):
            if await self.look():
                return minute
        return -1


QUIET_MINUTES = int(QUIET_SECONDS // 60)


async def test_it_is_of_the_time_since_which_nothing_has_moved():
    looking = Looking()
    looking.venue.positions["BTCUSDT"] = ("0.5", "60000")
    assert await looking.minutes() == QUIET_MINUTES
    position, balances = await looking.look()
    assert {position.time_ns, balances.time_ns} == {START_NS}
    assert position.position_opened.position.size == "0.5"
    stated = {one.asset: one.total for one in balances.balances_opened.balances}
    assert stated == {"BTC": "3", "USDT": "5000"}


async def test_a_known_execution_lets_it_wait_again():
    looking = Looking()
    await looking.look()
    looking.newest_ns = START_NS - CLOCKS_NS + 1
    await looking.look()
    assert await looking.minutes() == QUIET_MINUTES - 1
    (balances,) = await looking.look()
    assert balances.time_ns == START_NS + MINUTE_NS


async def test_a_balance_that_moves_lets_it_wait_again():
    looking = Looking()
    await looking.look()
    await looking.look()
    looking.venue.balances["BTC"] = "2"
    assert await looking.minutes() == QUIET_MINUTES
    (balances,) = await looking.look()
    assert balances.time_ns == START_NS + 2 * MINUTE_NS


async def test_it_waits_for_a_new_report_of_the_venue():
    looking = Looking()
    await looking.look()
    looking.venue.is_asked_again = False
    assert await looking.minutes() == -1


async def test_it_waits_while_the_account_is_not_ready():
    looking = Looking()
    looking.venue.state = RECONCILING
    assert await looking.minutes() == -1
    looking.venue.state = READY
    assert await looking.minutes() == QUIET_MINUTES


async def test_a_position_without_an_entry_price_is_not_known():
    looking = Looking()
    looking.venue.positions["BTCUSDT"] = ("0.5", "")
    assert await looking.minutes() == -1
    with pytest.raises(OpeningWaits, match="no entry price of the position in BTCUSDT"):
        await looking.opening.events(0, [])


async def test_a_position_by_executions_that_the_venue_does_not_have_is_none():
    looking = Looking()
    looking.held = ["ETHUSDT"]
    await looking.minutes()
    position, _ = await looking.look()
    stated = position.position_opened.position
    assert (stated.symbol, stated.size) == ("ETHUSDT", "0")
