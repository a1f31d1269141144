"""An account that was away for 20,000 fills becomes ready at Kraken's pages and rate, and one that
is killed meanwhile goes on where it was."""

import asyncio
import re
from decimal import Decimal

from ccxt.base.errors import RateLimitExceeded
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.request_budget import RequestBudget
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.contract import Credentials
from kit.execution.readiness import READY
from kit.execution.tests.simulated_process import run, started
from venues.kraken import orders
from venues.kraken.catalog import SPOT_LIMITS

PAGE = 50
ORDERS = 50
COUNTER_MAX, COUNTER_PER_SECOND, HISTORY_COST = 20, 0.5, 2


class ExternalRequest:
    """An order that another program places."""

    def __init__(self, number):
        self.client_order_id = f"{number:032x}"
        self.symbol = "BTCUSDT"
        self.side = types_pb2.SIDE_BUY
        self.type = orders_pb2.ORDER_TYPE_LIMIT
        self.size, self.price, self.stop_price = Decimal(10**6), Decimal(100), None


class RestApi:
    """The raw methods of ccxt that list trades, as Kraken answers them: newest first, from
    ``start`` up to ``end``, and not faster than its counter allows."""

    def __init__(self, venue):
        self.venue = venue
        self.counter, self.counted = 0.0, 0.0
        self.offsets = []
        self.rejected = 0

    async def publicGetAssets(self, _):
        return {"result": {}}

    async def publicGetAssetPairs(self, _):
        return {"result": {}}

    async def privatePostTradesHistory(self, params):
        await self.venue.clock.sleep(0.3)
        now = asyncio.get_running_loop().time()
        passed = (now - self.counted) * COUNTER_PER_SECOND
        self.counter, self.counted = max(0, self.counter - passed) + HISTORY_COST, now
        if self.counter > COUNTER_MAX:
            self.rejected += 1
            raise RateLimitExceeded("EAPI:Rate limit exceeded")
        self.offsets.append(int(params["ofs"]))
        start_ns = int(params["start"]) * NANOSECONDS_PER_SECOND
        end_ns = int(params.get("end", 1 << 40)) * NANOSECONDS_PER_SECOND
        found = [one for _, one in self.venue.fills if start_ns < one.venue_time_ns <= end_ns]
        found.reverse()
        first = int(params["ofs"])
        rows = {one.fill_id: row(one) for one in found[first : first + PAGE]}
        return {"result": {"trades": rows, "count": len(found)}}

    async def close(self):
        pass


def row(fill):
    return {
        "ordertxid": fill.venue_order_id,
        "pair": "XBTUSDT",
        "time": f"{fill.venue_time_ns / NANOSECONDS_PER_SECOND:.4f}",
        "type": "buy",
        "price": str(fill.price),
        "fee": str(fill.fees[0].amount),
        "vol": str(fill.size),
        "maker": True,
    }


def restart(found):
    """Start a process that lists fills as Kraken's client does."""
    found.start()
    budget = RequestBudget("kraken", SPOT_LIMITS.orders_per_second, found.clock, 15)
    client = orders.execution_client(Credentials("main", {}), None, "rest", budget)
    assert isinstance(client, CcxtExecutionClient)
    names = client._account._names
    names.symbols["XBTUSDT"], names.quotes["BTCUSDT"] = "BTCUSDT", "USDT"
    client._session._exchange = RestApi(found.venue)
    found.account.client.fills = client.fills
    return client._session._exchange


async def away(fills):
    """A world whose account missed so many fills."""
    found = await started()
    truths = [found.venue.arrive(ExternalRequest(number)) for number in range(ORDERS)]
    await found.let_pass(120)
    await found.ready()
    assert len(found.account.state.index.open) == ORDERS
    found.crash()
    for number in range(fills):
        await found.let_pass(10)
        found.venue.fill(truths[number % ORDERS], Decimal(1))
    return found


def test_account_that_missed_20_000_fills_becomes_ready():
    async def scenario():
        found = await away(20_000)
        api = restart(found)
        account, details = found.account, set()
        while account.readiness.state != READY:
            await found.let_pass(5)
            details.add(account.message().detail)
        assert len(account.state.index.fills) == 20_000
        assert len({one.fill_id for one in account.state.index.fills.values()}) == 20_000
        assert {one.fill_size for one in account.state.index.open.values()} == {20_000 // ORDERS}
        assert 20_000 <= account.message().reconciled_fills < 21_000
        assert account.message().fills_known_until_ns > found.venue.fills[-1][1].venue_time_ns
        pattern = r"reading fills: 1\d,\d{3} so far; missing: 2023-11-14T\S+ to 2023-11-1\dT"
        assert any(re.match(pattern, detail) for detail in details)
        assert api.rejected
        assert len(api.offsets) < 1.2 * 20_000 / PAGE

    run(scenario())


def test_killed_reading_goes_on_where_it_was():
    async def scenario():
        found = await away(4_000)
        api = restart(found)
        while found.account.message().reconciled_fills < 2_000:
            await found.let_pass(5)
        read = len(api.offsets)
        found.process.die()
        found.disk.crash(found.random, power=True)
        api = restart(found)
        account = found.account
        while account.readiness.state != READY:
            await found.let_pass(5)
        assert len(api.offsets) < 1.1 * (4_000 / PAGE - read) + 10
        assert len(account.state.index.fills) == 4_000
        assert {one.fill_size for one in account.state.index.open.values()} == {4_000 // ORDERS}
        assert account.message().reconciled_fills >= 4_000

    run(scenario())
