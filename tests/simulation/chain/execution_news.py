"""What the process of the venue knows of orders and fills, and how the ledger reads it."""

import asyncio

from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2, trade_flow_pb2

from core.inspector.tests.lying_venue import FILLED
from kit.base.cursor import Cursor


class VenueNews:
    """What one process of the venue has heard of since its start."""

    def __init__(self):
        self.run = 1
        """Of the process; a later one does not hold the news of an earlier one."""
        self.entries = []
        """Changed orders and fills, oldest first."""
        self.fills = []
        """All that are known, oldest first."""
        self.changed = asyncio.Event()

    @property
    def position(self):
        """Run and number of the newest entry."""
        return self.run, len(self.entries)

    @property
    def tells_of_an_end(self):
        """Whether the newest entry is the end of an order."""
        newest = self.entries[-1] if self.entries else None
        return isinstance(newest, orders_pb2.Order) and newest.state >= FILLED

    def restart(self):
        """The process is started again: it holds no old news."""
        self.run += 1
        self.entries.clear()
        self._wake()

    def add(self, entry):
        """Tell of an order or of a fill."""
        self.entries.append(entry)
        self._wake()

    def add_fills(self, fills):
        """Tell of those of the fills of the venue that are not known yet."""
        for fill in fills[len(self.fills) :]:
            self.fills.append(fill)
            self.add(fill)

    def _wake(self):
        self.changed.set()
        self.changed = asyncio.Event()


class ExecutionNews:
    """What the ledger asks the process of the venue for."""

    def __init__(self, venue, clock, chance):
        self._venue, self._clock, self._chance = venue, clock, chance

    async def StreamExecutions(self, request):
        news = self._venue.news
        run, at = news.run, request.resume_after.sequence
        if request.resume_after.epoch != run:
            run, at = news.position
            response = trade_flow_pb2.StreamExecutionsResponse(cursor=Cursor(run, at).message())
            open_orders = [one for one in self._venue.orders.values() if one.state < FILLED]
            response.snapshot.orders.extend(open_orders)
            yield response
        while True:
            while at >= len(news.entries) and run == news.run:
                await news.changed.wait()
            await self._clock.sleep(self._chance.choice((0, 0.001, 0.05, 0.5)))
            if run != news.run or self._chance.random() < self._venue.interruptions:
                raise ConnectionResetError("simulated")
            entry = news.entries[at]
            at += 1
            response = trade_flow_pb2.StreamExecutionsResponse(cursor=Cursor(run, at).message())
            kind = "order" if entry.DESCRIPTOR.name == "Order" else "fill"
            getattr(response, kind).CopyFrom(entry)
            yield response

    async def ListFills(self, request, timeout):
        await self._clock.sleep(0.01)
        return trade_flow_pb2.ListFillsResponse(fills=self._venue.news.fills[::-1])

    async def GetOrder(self, request, timeout):
        await self._clock.sleep(0.01)
        order = self._venue.orders[request.client_order_id]
        return trade_flow_pb2.GetOrderResponse(order=order)

    async def ListCashFlows(self, request, timeout):
        return cash_flows_pb2.ListCashFlowsResponse()
