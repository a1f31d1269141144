"""A venue's process that fills every market order at once, for the services that call it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    batches_pb2,
    cash_flows_pb2,
    orders_pb2,
    signed_pb2,
    snapshots_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from core.inspector.venue_processes import order_id
from kit.base.cursor import Cursor

VENUE, ACCOUNT = "binance", "paper"
BID, ASK = "199.9", "200.1"
DEPOSIT = "10000"


class FillingVenue(trade_flow_pb2_grpc.TradeFlowServicer, market_data_pb2_grpc.MarketDataServicer):
    """TradeFlow and MarketData of one account with a deposit."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._instruments = [
            types_pb2.Instrument(
                venue=VENUE,
                symbol=symbol,
                kind=types_pb2.INSTRUMENT_KIND_SPOT,
                base=symbol.removesuffix("USDT"),
                quote="USDT",
                size_unit=types_pb2.SIZE_UNIT_BASE,
                status=types_pb2.INSTRUMENT_STATUS_TRADING,
                price_tick="0.1",
                size_step="0.001",
                size_min="0.001",
            )
            for symbol in symbols
        ]
        self._account = accounts_pb2.Account(
            account=ACCOUNT, paper=True, state=accounts_pb2.ACCOUNT_STATE_READY
        )
        self._orders: dict[str, orders_pb2.Order] = {}
        self._fills: list[orders_pb2.Fill] = []
        self._executions: list[dict[str, Any]] = []
        self._changed = asyncio.Event()
        self._started_ns = time.time_ns()

    async def ListInstruments(self, request, context):
        return market_data_pb2.ListInstrumentsResponse(instruments=self._instruments)

    async def GetOrderBook(self, request, context):
        book = market_data_pb2.GetOrderBookResponse(state=market_data_pb2.BOOK_STATE_PROVEN)
        book.venue_time_ns = time.time_ns()
        book.cursor.epoch, book.cursor.sequence = 1, len(self._executions) + 1
        book.bids.add(price=BID, size="10")
        book.asks.add(price=ASK, size="10")
        return book

    async def ListAccounts(self, request, context):
        return accounts_pb2.ListAccountsResponse(accounts=[self._account])

    async def Heartbeat(self, request, context):
        return accounts_pb2.HeartbeatResponse(account=self._account)

    async def ListBalances(self, request, context):
        return trade_flow_pb2.ListBalancesResponse()

    async def ListPositions(self, request, context):
        return trade_flow_pb2.ListPositionsResponse()

    async def ListOpenOrders(self, request, context):
        found = [one for one in self._orders.values() if one.state == orders_pb2.ORDER_STATE_OPEN]
        return trade_flow_pb2.ListOpenOrdersResponse(orders=found)

    async def ListCashFlows(self, request, context):
        deposit = cash_flows_pb2.CashFlow(
            venue=VENUE,
            account=ACCOUNT,
            cash_flow_id="1",
            kind=cash_flows_pb2.CASH_FLOW_KIND_TRANSFER,
            asset="USDT",
            amount=DEPOSIT,
            venue_time_ns=self._started_ns,
        )
        return cash_flows_pb2.ListCashFlowsResponse(cash_flows=[deposit])

    async def ListFills(self, request, context):
        wanted = request.client_order_id
        found = [one for one in self._fills[::-1] if wanted in ("", one.client_order_id)]
        return trade_flow_pb2.ListFillsResponse(fills=found)

    async def GetOrder(self, request, context):
        return trade_flow_pb2.GetOrderResponse(order=self._orders[request.client_order_id])

    async def PlaceOrder(self, request, context):
        return trade_flow_pb2.PlaceOrderResponse(order=self._place(request.approved))

    async def PlaceOrderGroup(self, request, context):
        orders = [self._place(approved) for approved in request.approved]
        return batches_pb2.PlaceOrderGroupResponse(orders=orders)

    async def StreamExecutions(self, request, context) -> AsyncIterator[Any]:
        sent = request.resume_after.sequence
        if not request.HasField("resume_after"):
            sent = len(self._executions)
            snapshot = snapshots_pb2.ExecutionSnapshot()
            yield trade_flow_pb2.StreamExecutionsResponse(
                cursor=Cursor(1, sent).message(), snapshot=snapshot
            )
        while True:
            self._changed.clear()
            for event in self._executions[sent:]:
                sent += 1
                yield trade_flow_pb2.StreamExecutionsResponse(
                    cursor=Cursor(1, sent).message(), **event
                )
            await self._changed.wait()

    def _place(self, approved: signed_pb2.ApprovedOrder) -> orders_pb2.Order:
        content, now_ns = approved.content, time.time_ns()
        assert approved.expires_time_ns > now_ns
        is_market = content.type == orders_pb2.ORDER_TYPE_MARKET
        order = orders_pb2.Order(
            content=content,
            request_id=approved.request_id,
            client_order_id=order_id(approved),
            state=orders_pb2.ORDER_STATE_FILLED if is_market else orders_pb2.ORDER_STATE_OPEN,
            filled_size=content.size if is_market else "0",
            created_time_ns=now_ns,
            updated_time_ns=now_ns,
        )
        self._orders[order.client_order_id] = order
        if is_market:
            self._executions.append({"fill": self._fill(order, now_ns)})
        self._executions.append({"order": order})
        self._changed.set()
        return order

    def _fill(self, order: orders_pb2.Order, now_ns: int) -> orders_pb2.Fill:
        content = order.content
        fill = orders_pb2.Fill(
            venue=VENUE,
            account=ACCOUNT,
            symbol=content.symbol,
            fill_id=str(len(self._fills) + 1),
            client_order_id=order.client_order_id,
            side=content.side,
            price=ASK,
            size=content.size,
            fee=orders_pb2.Fee(asset="USDT", amount=str(Decimal(content.size) * Decimal("0.1"))),
            venue_time_ns=now_ns,
            received_time_ns=now_ns,
        )
        self._fills.append(fill)
        return fill
