"""Random orders at one venue, as a client of the mesh places, amends and cancels them."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.inspector.v1 import inspector_pb2, inspector_pb2_grpc
from venuemesh.marketdata.v1 import market_data_pb2, market_data_pb2_grpc
from venuemesh.tradeflow.v1 import (
    accounts_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.accounting.amounts import plain
from kit.accounting.instruments import notional
from kit.base import errors
from kit.base.paging import whole_list

ACCOUNT = "demo"
CALL_SECONDS_MAX = 40.0
"""The inspector answers after 20 s at the latest."""
SUBMITTED_AT_ONCE = 4
SIZES = (1, 1, 1, 2, 3, 7, 20)
"""In smallest sizes."""
NOTIONAL_MARGIN = Decimal("1.05")
"""The price may fall until the order is there."""
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
IMMEDIATE = (
    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
)
READY = accounts_pb2.ACCOUNT_STATE_READY


class RandomOrders:
    """Trades at a venue until it is cancelled. What fails is counted: the mesh loses processes."""

    def __init__(
        self, venue: str, channel: grpc.aio.Channel, pause_seconds: float, seed: object
    ) -> None:
        """``channel``: of the gateway. ``pause_seconds``: from one request to the next."""
        self.counts: Counter[str] = Counter()
        """Answers, by what they say."""
        self._here: dict[str, Any] = {"venue": venue, "account": ACCOUNT}
        self.venue = venue
        self._options: dict[str, Any] = {
            "metadata": [("venuemesh-venue", venue)],
            "timeout": CALL_SECONDS_MAX,
        }
        self._inspector: inspector_pb2_grpc.InspectorAsyncStub = inspector_pb2_grpc.InspectorStub(
            channel
        )
        self._flow: trade_flow_pb2_grpc.TradeFlowAsyncStub = trade_flow_pb2_grpc.TradeFlowStub(
            channel
        )
        self._market: market_data_pb2_grpc.MarketDataAsyncStub = (
            market_data_pb2_grpc.MarketDataStub(channel)
        )
        self._pause_seconds = pause_seconds
        self._chance = random.Random(f"{seed} {venue}")
        self._instruments: Sequence[types_pb2.Instrument] = ()
        self._number = 0
        self._free = asyncio.Semaphore(SUBMITTED_AT_ONCE)

    async def run(self) -> None:
        """Send a request after each pause. Runs forever."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._free.acquire()
                group.create_task(self._act_once())
                await asyncio.sleep(self._chance.expovariate(1 / self._pause_seconds))

    async def is_ready(self) -> bool:
        """Whether the account takes orders."""
        request = accounts_pb2.ListAccountsRequest(venue=self.venue)
        try:
            found = await whole_list(self._flow.ListAccounts, request, **self._options)
        except grpc.aio.AioRpcError:
            return False
        return READY in [one.state for one in found.accounts if one.account == ACCOUNT]

    async def cancel_all(self) -> None:
        """Ask once to cancel every order."""
        request = trade_flow_pb2.CancelAllOrdersRequest(include_protective=True, **self._here)
        try:
            await self._flow.CancelAllOrders(request, **self._options)
        except grpc.aio.AioRpcError as error:
            self._count_failure(error)

    async def _act_once(self) -> None:
        try:
            await self._act()
        except grpc.aio.AioRpcError as error:
            self._count_failure(error)
        finally:
            self._free.release()

    def _count_failure(self, error: grpc.aio.AioRpcError) -> None:
        self.counts[errors.reason_of(error) or error.code().name] += 1

    async def _act(self) -> None:
        if not self._instruments:
            request = market_data_pb2.ListInstrumentsRequest(venue=self.venue)
            listed = await whole_list(self._market.ListInstruments, request, **self._options)
            self._instruments = listed.instruments
        (act,) = self._chance.choices(
            (self._place, self._cancel, self._amend, self._flatten), (80, 14, 5, 1)
        )
        await act()

    async def _place(self) -> None:
        instrument = self._chance.choice(self._instruments)
        request = market_data_pb2.GetOrderBookRequest(
            venue=self.venue, symbol=instrument.symbol, depth=1
        )
        book = await self._market.GetOrderBook(request, **self._options)
        if not book.bids or not book.asks:
            self.counts["no book"] += 1
            return
        bid, ask = Decimal(book.bids[0].price), Decimal(book.asks[0].price)
        content = self._content(instrument, bid, ask)
        submitted = await self._submit(signed_pb2.OPERATION_PLACE, content)
        for order in submitted.submitted.orders:
            self.counts[orders_pb2.OrderState.Name(order.state)] += 1

    def _content(
        self, instrument: types_pb2.Instrument, bid: Decimal, ask: Decimal
    ) -> orders_pb2.OrderContent:
        chance = self._chance
        buys = chance.random() < 0.5
        content = orders_pb2.OrderContent(
            symbol=instrument.symbol,
            side=BUY if buys else SELL,
            size=plain(_size(instrument, bid, chance.choice(SIZES))),
            type=orders_pb2.ORDER_TYPE_LIMIT,
            **self._here,
        )
        best, other = (bid, ask) if buys else (ask, bid)
        away = Decimal(chance.randint(0, 20)) / 10_000 * (-1 if buys else 1)
        match chance.choice(("market", "market", "market", "taking", "taking", "resting", "maker")):
            case "market":
                content.type = orders_pb2.ORDER_TYPE_MARKET
                is_spot = instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT
                content.reduce_only = not is_spot and chance.random() < 0.3
            case "taking":
                content.price = _price(instrument, other * (1 - away), rounds_up=buys)
                if chance.random() < 0.5:
                    content.time_in_force = chance.choice(IMMEDIATE)
            case "resting":
                content.price = _price(instrument, best * (1 + away), rounds_up=not buys)
            case "maker":
                content.price = _price(instrument, best, rounds_up=not buys)
                content.post_only = True
        return content

    async def _cancel(self) -> None:
        order = await self._open_order()
        if order is not None:
            request = trade_flow_pb2.CancelOrderRequest(
                client_order_id=order.client_order_id, **self._here
            )
            await self._flow.CancelOrder(request, **self._options)
            self.counts["cancel"] += 1

    async def _amend(self) -> None:
        order = await self._open_order()
        if order is None:
            return
        content = order.content
        content.size = plain(Decimal(content.size) * 2)
        await self._submit(signed_pb2.OPERATION_AMEND, content, order.client_order_id)
        self.counts["amendment"] += 1

    async def _flatten(self) -> None:
        """Close the position in a derivative."""
        instrument = self._chance.choice(self._instruments)
        if instrument.kind == types_pb2.INSTRUMENT_KIND_SPOT:
            return
        content = orders_pb2.OrderContent(symbol=instrument.symbol, **self._here)
        answer = await self._submit(signed_pb2.OPERATION_FLATTEN, content)
        if answer.HasField("approved"):
            request = flatten_pb2.FlattenRequest(
                symbol=instrument.symbol, approved=answer.approved, **self._here
            )
            await self._flow.Flatten(request, **self._options)
            self.counts["flatten"] += 1

    async def _open_order(self) -> orders_pb2.Order | None:
        request = trade_flow_pb2.ListOpenOrdersRequest(**self._here)
        found = await whole_list(self._flow.ListOpenOrders, request, **self._options)
        return self._chance.choice(found.orders) if found.orders else None

    async def _submit(
        self,
        operation: signed_pb2.Operation.ValueType,
        content: orders_pb2.OrderContent,
        target: str = "",
    ) -> inspector_pb2.SubmitManualResponse:
        """Ask the inspector; where that fails, once again for the same."""
        self._number += 1
        request = inspector_pb2.SubmitManualRequest(
            request_id=f"soak-{self.venue}-{self._number}",
            reason="soak",
            operation=operation,
            target_client_order_id=target,
            content=content,
        )
        try:
            return await self._inspector.SubmitManual(request, timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            self._count_failure(error)
        return await self._inspector.SubmitManual(request, timeout=CALL_SECONDS_MAX)


def _size(instrument: types_pb2.Instrument, price: Decimal, times: int) -> Decimal:
    """So many times the smallest size that is allowed."""
    step = Decimal(instrument.size_step)
    smallest = max(step, Decimal(instrument.size_min or 0))
    value = notional(instrument, step, price)
    if instrument.notional_min and value:
        steps = Decimal(instrument.notional_min) * NOTIONAL_MARGIN / value
        smallest = max(smallest, step * steps.to_integral_value(ROUND_CEILING))
    return smallest * times


def _price(instrument: types_pb2.Instrument, price: Decimal, *, rounds_up: bool) -> str:
    tick = Decimal(instrument.price_tick)
    ticks = (price / tick).to_integral_value(ROUND_CEILING if rounds_up else ROUND_FLOOR)
    return plain(ticks * tick)
