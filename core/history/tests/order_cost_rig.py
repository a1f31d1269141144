"""Orders in a real database, and the reader of their costs."""

from decimal import Decimal

from venuemesh.history.v1 import order_costs_pb2

from core.history.mid_prices import MidPrices
from core.history.order_cost_store import OrderCostStore
from core.history.stored_orders import StoredOrders
from core.history.tests.recorded import VENUE
from core.history.tests.traded import FILLED, Traded, at_ns
from kit.accounting.costed_orders import FeeRates
from tests.support.manual_clock import ManualClock

AGE_NS = 10 * 10**9
Reason = order_costs_pb2.UnknownReason
List = order_costs_pb2.ListOrderCostsRequest
Filter = order_costs_pb2.OrderCostsFilter


class Rates:
    """0.02 % for makers and 0.1 % for takers, at one venue."""

    async def of(self, venue):
        return FeeRates(Decimal("0.0002"), Decimal("0.001")) if venue == VENUE else None


class Rig(Traded):
    """A database, and its reader an hour after START_NS."""

    def __init__(self, database):
        super().__init__(database)
        self.clock = ManualClock()
        self.clock.now_ns = at_ns(3_600)
        mids = MidPrices(database, self.clock, AGE_NS)
        self.store = OrderCostStore(database, StoredOrders(database), mids, Rates())

    async def listed(self, **chosen):
        answer = await self.store.page(List(filter=Filter(**chosen)))
        assert answer.next_page_token == ""
        return list(answer.orders)

    async def one(self):
        (found,) = await self.listed()
        return found

    async def steady_quotes(self, *at):
        """These mids, and the last one until every mark-out is known."""
        await self.quotes(*at)
        last, mid = at[-1]
        await self.quotes(*((last + after, mid) for after in range(5, 95, 5)))

    async def filled_order(self, chain="a", second=1.0, price="101", **content):
        """An order that is filled whole at one price."""
        order = self.order(chain, second, **content)
        await self.state(order, second)
        await self.fill(order, second + 0.5, price, "10", fee="1.01")
        await self.state(order, second + 1, state=FILLED, filled_size="10", average_price=price)
        return order


def value(figure):
    """The number, or the name of the reason."""
    assert bool(figure.value) != bool(figure.unknown_reason)
    return figure.value or Reason.Name(figure.unknown_reason).removeprefix("UNKNOWN_REASON_")
