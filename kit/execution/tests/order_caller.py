"""An account with a position and limits, and the calls of its client."""

from dataclasses import replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import batches_pb2, orders_pb2, signed_pb2, trade_flow_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.execution.account_terms import AccountTerms, OrderLimits
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import CAPABILITIES, limit_order
from kit.execution.tests.simulated_process import SPOT, Prices, signer, world

VALIDITY_NS = 1000 * NANOSECONDS_PER_SECOND
WHERE = {"venue": "fake", "account": "main"}
SWAP = types_pb2.Instrument()
SWAP.CopyFrom(SPOT)
SWAP.symbol = "SWAP"
SWAP.kind = types_pb2.INSTRUMENT_KIND_PERPETUAL
SWAP.settlement_asset = "USDT"
SWAP.contract_kind = types_pb2.CONTRACT_KIND_LINEAR
NOTHING = OrderLimits(
    order_size_max={"SWAP": Decimal(0), "BTCUSDT": Decimal(0)},
    order_notional_max={"USDT": Decimal(0)},
    open_orders_max=0,
    orders_per_second_max=0,
    position_size_max={"SWAP": Decimal(0), "BTCUSDT": Decimal(0)},
)


class Terms:
    """The accounts file, as a test has it."""

    def __init__(self, limits=None, **keys):
        self.limits = limits or OrderLimits()
        self.keys = keys

    def account(self, venue, account):
        return AccountTerms(account="fake/main", limits=self.limits)

    def key(self, key_id):
        return self.keys.get(key_id, OrderLimits())


class NoPrices(Prices):
    """Prices of a book that is not proven."""

    problem = "no event for 60 s"

    def best(self, symbol):
        return None


class Caller:
    """An account that holds a long position in SWAP and BTC, and the calls of a client."""

    def __init__(self, world):
        self.world = world
        self.account = world.account
        self.flow = TradeFlowServicer("fake", {"main": self.account})
        self.number = 0

    def hold(self, size):
        self.world.venue.positions = [VenuePosition("SWAP", Decimal(size))]
        self.world.venue.balances = [VenueBalance("BTC", Decimal(size), Decimal(size))]
        held = self.account.balances_and_positions
        held.apply_position(VenuePosition("SWAP", Decimal(size)))
        held.apply_balance(VenueBalance("BTC", Decimal(size), Decimal(size)))

    def approve(self, content, **more):
        self.number += 1
        ends_ns = self.world.clock.time_ns() + VALIDITY_NS
        return signer().approve(content, f"r{self.number}", ends_ns, **more)

    async def place(self, content):
        request = trade_flow_pb2.PlaceOrderRequest(approved=self.approve(content))
        return (await self.flow.PlaceOrder(request, None)).order

    async def place_group(self, *contents):
        approved = [self.approve(content) for content in contents]
        request = batches_pb2.PlaceOrderGroupRequest(approved=approved)
        return (await self.flow.PlaceOrderGroup(request, None)).orders

    async def amend(self, order, content):
        approved = self.approve(
            content, operation=signed_pb2.OPERATION_AMEND, target_client_order_id=order
        )
        request = trade_flow_pb2.AmendOrderRequest(
            approved=approved, client_order_id=order, **WHERE
        )
        return (await self.flow.AmendOrder(request, None)).order

    async def cancel(self, order):
        request = trade_flow_pb2.CancelOrderRequest(client_order_id=order, **WHERE)
        return (await self.flow.CancelOrder(request, None)).order


async def caller(terms=None, prices=None, held="5"):
    found = world(capabilities=replace(CAPABILITIES, has_positions=True))
    found.instruments["SWAP"] = SWAP
    found.prices = prices or Prices()
    found.accounts_file = terms
    found.start()
    await found.ready()
    found.account.verifier._validity_max_ns = VALIDITY_NS
    at = Caller(found)
    at.hold(held)
    return at


def exit_order(size="2", symbol="SWAP", **more):
    """Sells what is held, at the market."""
    label = {
        "reduce_only": symbol == "SWAP",
        "side": types_pb2.SIDE_SELL,
        "type": orders_pb2.ORDER_TYPE_MARKET,
        "price": "",
    }
    return limit_order(**{"size": size, "symbol": symbol, **label, **more})
