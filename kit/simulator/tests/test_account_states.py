"""What the accounts of simulated exchanges have."""

from dataclasses import replace
from decimal import Decimal

from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.order_types import side_of
from kit.simulator.account_states import NEWEST_FILLS_MAX, account_states
from kit.simulator.listing import InstrumentKind, Listing
from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_events import Instrument
from kit.simulator.market_runner import SimulatedMarketView
from kit.simulator.matching.contract import OrderTicket
from kit.simulator.tests.fakes import FakeExchange
from kit.simulator.tests.running import running
from kit.simulator.tests.test_market import OPENING_NS

BTC = INSTRUMENTS[0]


class Perpetual(FakeExchange):
    def list(self, instrument: Instrument) -> Listing:
        listing = replace(super().list(instrument), tick_size="0.01")
        return replace(listing, kind=InstrumentKind.PERPETUAL, settle=instrument.quote)


def test_an_account_shows_what_it_has_and_its_newest_fills_first():
    market = SimulatedMarket("1", OPENING_NS, 500, [BTC])
    market_view = SimulatedMarketView(market, Perpetual())
    market.advance(OPENING_NS + 100_000_000)
    engine = market_view.engine
    assert engine is not None
    assert account_states([("fake", market_view)]) == []
    for number in range(NEWEST_FILLS_MAX):
        buys = number % 2 == 0 or number == NEWEST_FILLS_MAX - 1
        ticket = OrderTicket("BTCUSDT", side_of(buys), orders_pb2.ORDER_TYPE_MARKET, Decimal(1))
        engine.place("demo", ticket)
    resting = OrderTicket(
        "BTCUSDT", side_of(True), orders_pb2.ORDER_TYPE_LIMIT, Decimal(2), Decimal(100)
    )
    engine.place("demo", resting)
    (state,) = account_states([("fake", market_view)])
    assert (state.venue, state.account, state.open_orders) == ("fake", "demo", 1)
    fills = engine.fills("demo")
    assert len(state.newest_fills) == NEWEST_FILLS_MAX
    assert [one.trade_id for one in state.newest_fills] == [
        one.trade_id for one in fills[::-1][:NEWEST_FILLS_MAX]
    ]
    changed = sum((one.profit - one.fee for one in fills), Decimal(0))
    assert state.balances["USDT"] == Decimal(1_000_000) + changed
    bought = sum((one.size if one.order.ticket.buys else -one.size for one in fills), Decimal(0))
    assert bought
    assert state.positions == {"BTCUSDT": bought}


async def test_the_server_answers_with_the_accounts_that_exist():
    async with running() as client:
        assert await client.json("/accounts") == {"accounts": []}
        assert await client.json("/accounts?venue=other") == {"accounts": []}
