"""What every desk must do at the pretended exchange: one account trades, another meets its orders.

The market's own participants are calmed, so that an order rests until somebody is asked to meet it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.conformance.exchange import SimulatedExchange, exchange
from kit.connector.orders.execution_client import CcxtExecutionClient
from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import (
    Accepted,
    Credentials,
    ExecutionClient,
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    Rejected,
    StreamInterrupted,
    VenueBalance,
    VenueFill,
    VenueOrder,
)
from kit.simulator.dialect import Dialect
from kit.simulator.matching.contract import Key, MatchingEngine

WAIT_S = 30.0
FINAL = (
    pb.ORDER_STATE_FILLED,
    pb.ORDER_STATE_CANCELLED,
    pb.ORDER_STATE_REJECTED,
    pb.ORDER_STATE_EXPIRED,
)


@dataclass
class Scene:
    """A desk, what it has heard, and the exchange."""

    desk: ExecutionClient
    house: MatchingEngine
    venue: SimulatedExchange
    symbol: str
    make_desk: Callable[[str], ExecutionClient]
    """For another pretended key, by its name."""
    heard: list[Any]
    changed: asyncio.Event
    socket_path: str = ""
    """Of orders over the venue's websocket, as faults call it; empty: they go by REST."""
    number: int = 0

    async def best(self) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        book = await self.venue.book(self.symbol)
        return Decimal(book.bids[0][0]), Decimal(book.asks[0][0])

    @property
    def tick(self) -> Decimal:
        """Of the price."""
        return Decimal(self.venue.tick_size(self.symbol))

    def wish(self, price: Decimal | None, size: Decimal, **changes: Any) -> OrderRequest:
        """A limit order to buy, or a market order, with a new id."""
        self.number += 1
        fields: dict[str, Any] = {
            "client_order_id": client_order_id("test", "main", str(self.number)),
            "symbol": self.symbol,
            "side": types_pb2.SIDE_BUY,
            "type": pb.ORDER_TYPE_MARKET if price is None else pb.ORDER_TYPE_LIMIT,
            "size": size,
            "price": price,
        }
        return OrderRequest(**{**fields, **changes})

    async def warm(self) -> None:
        """Until orders go the way that they are to go."""
        if self.socket_path:
            assert isinstance(self.desk, CcxtExecutionClient)
            assert self.desk.socket is not None
            await self.desk.socket.ready.wait()

    async def hear(self, wanted: Callable[[Any], bool]) -> Any:
        """The first event that is wanted, waited for."""
        while True:
            for event in self.heard:
                if wanted(event):
                    return event
            self.changed.clear()
            await self.changed.wait()

    async def hear_state(self, wish: OrderRequest, state: int) -> VenueOrder:
        """An order of this wish in a state, over the stream."""
        order = await self.hear(
            lambda event: (
                isinstance(event, VenueOrder)
                and event.client_order_id == wish.client_order_id
                and event.state == state
            )
        )
        assert isinstance(order, VenueOrder)
        return order

    async def until(self, key: OrderKey, state: int) -> VenueOrder:
        """The order, asked for until it is in a state."""
        while True:
            order = await self.desk.find(key)
            if order is not None and order.state == state:
                return order
            await asyncio.sleep(0.05)


@asynccontextmanager
async def scene(
    venue_id: str,
    make_dialect: Callable[[], Dialect],
    make_desk: Callable[[Credentials, str], ExecutionClient],
    credentials: Callable[[Key], Mapping[str, str]],
    symbol: str,
    socket_path: str = "",
) -> AsyncIterator[Scene]:
    """A calm market, and a desk of the account "demo" that is followed. ``socket_path``: of a desk
    whose orders go over the venue's websocket, where faults find them."""
    async with asyncio.timeout(WAIT_S), exchange(venue_id, make_dialect, 200) as venue:
        house = venue._simulator.market_view(venue_id).engine
        assert house is not None
        keys = {key.key: key for key in house.keys}

        def desk_of(name: str) -> ExecutionClient:
            given = Credentials(keys[name].account, credentials(keys[name]))
            return make_desk(given, f"{venue.url}/{venue_id}")

        desk, heard, changed = desk_of("demo-key"), [], asyncio.Event()

        async def listen() -> None:
            async for event in desk.follow():
                heard.append(event)
                changed.set()

        listening = asyncio.create_task(listen())
        place = Scene(desk, house, venue, symbol, desk_of, heard, changed, socket_path)
        try:
            with venue.calm():
                await place.hear(lambda event: isinstance(event, StreamInterrupted))
                await place.warm()
                yield place
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await desk.close()


async def check_rest_and_cancel(at: Scene, size: Decimal) -> None:
    """An order rests, is found, is heard of, and is cancelled once."""
    bid, _ = await at.best()
    wish = at.wish(bid - 50 * at.tick, size, post_only=True)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted), receipt
    key = OrderKey(at.symbol, wish.client_order_id, "")
    found = await at.until(key, pb.ORDER_STATE_OPEN)
    assert (found.size, found.price, found.filled_size) == (wish.size, wish.price, 0)
    assert found.client_order_id == wish.client_order_id
    assert found.venue_order_id == receipt.venue_order_id
    assert (found.side, found.type) == (wish.side, wish.type)
    heard = await at.hear_state(wish, pb.ORDER_STATE_OPEN)
    assert (heard.size, heard.price) == (wish.size, wish.price)
    assert wish.client_order_id in [one.client_order_id for one in await at.desk.open_orders()]
    assert isinstance(await at.desk.cancel(key), Accepted)
    await at.hear_state(wish, pb.ORDER_STATE_CANCELLED)
    await at.until(key, pb.ORDER_STATE_CANCELLED)
    again = await at.desk.cancel(key)
    assert isinstance(again, Rejected), again
    unknown = OrderKey(at.symbol, client_order_id("test", "main", "never"), "")
    assert await at.desk.find(unknown) is None
    assert not await at.desk.open_orders(at.symbol)


async def check_fills(
    at: Scene,
    size: Decimal,
    taken: Decimal,
    is_derivative: bool = False,
    tells_fills: bool = True,
) -> None:
    """An order of twice what is there to be met is filled in parts, told exactly."""
    bid, ask = await at.best()
    price = max(bid, ask - at.tick)
    before = {one.asset: one for one in await at.desk.balances()}
    wish = at.wish(price, size)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted), receipt
    key = OrderKey(at.symbol, wish.client_order_id, "")
    await at.until(key, pb.ORDER_STATE_OPEN)
    other = at.make_desk("other-key")
    try:
        sale = at.wish(price, taken, side=types_pb2.SIDE_SELL,
                       time_in_force=pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL)  # fmt: skip
        assert isinstance(await other.place(sale), Accepted)
    finally:
        await other.close()
    partly = await at.until(key, pb.ORDER_STATE_PARTLY_FILLED)
    heard = await at.hear_state(wish, pb.ORDER_STATE_PARTLY_FILLED)
    assert partly.filled_size == heard.filled_size
    assert partly.average_price == heard.average_price == wish.price
    fills = await at.desk.fills(at.symbol, 0)
    ours = [fill for fill in fills if fill.venue_order_id == receipt.venue_order_id]
    assert sum(fill.size for fill in ours) == partly.filled_size
    assert all(fill.price == wish.price for fill in ours)
    assert all(fill.liquidity == pb.LIQUIDITY_MAKER for fill in ours)
    told = [event for event in at.heard if isinstance(event, VenueFill)]
    expected = sorted((fill.fill_id, fill.size, fill.fees, fill.price) for fill in ours)
    found = sorted((one.fill_id, one.size, one.fees, one.price) for one in told)
    assert found == (expected if tells_fills else [])
    assert isinstance(await at.desk.cancel(key), Accepted)
    last = await at.until(key, pb.ORDER_STATE_CANCELLED)
    assert last.filled_size == partly.filled_size
    if not is_derivative:
        _check_balances(before, {one.asset: one for one in await at.desk.balances()})


async def check_market_order(at: Scene, size: Decimal, tells_balances: bool = True) -> None:
    """At market all of it is filled."""
    wish = at.wish(None, size)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted), receipt
    key = OrderKey(at.symbol, wish.client_order_id, receipt.venue_order_id)
    done = await at.until(key, pb.ORDER_STATE_FILLED)
    assert done.filled_size == done.size == wish.size
    assert done.average_price
    heard = await at.hear_state(wish, pb.ORDER_STATE_FILLED)
    assert heard.filled_size == wish.size
    if tells_balances:
        await at.hear(lambda event: isinstance(event, VenueBalance))


async def check_refusals(at: Scene, size: Decimal) -> None:
    """More than there is, and a key that may do more than it should."""
    bid, _ = await at.best()
    dear = at.wish(bid - at.tick, size * 10**9)
    receipt = await at.desk.place(dear)
    assert isinstance(receipt, Rejected), receipt
    assert receipt.reason in (
        pb.REJECT_REASON_INSUFFICIENT_FUNDS,
        pb.REJECT_REASON_SIZE,
        pb.REJECT_REASON_NOTIONAL,
    ), receipt
    assert "withdraw" not in await at.desk.authenticate()
    rich = at.make_desk("withdraw-key")
    try:
        assert "withdraw" in await rich.authenticate()
    finally:
        await rich.close()


async def check_cancel_all(at: Scene, size: Decimal) -> None:
    """All are gone, and nothing to cancel is no error."""
    bid, _ = await at.best()
    wishes = [at.wish(bid - step * at.tick, size) for step in (20, 30, 40)]
    for wish in wishes:
        assert isinstance(await at.desk.place(wish), Accepted)
        key = OrderKey(at.symbol, wish.client_order_id, "")
        await at.until(key, pb.ORDER_STATE_OPEN)
    assert isinstance(await at.desk.cancel_all(), Accepted)
    for wish in wishes:
        await at.hear_state(wish, pb.ORDER_STATE_CANCELLED)
    assert not await at.desk.open_orders()
    assert isinstance(await at.desk.cancel_all(at.symbol), Accepted)


async def check_amend(at: Scene, size: Decimal) -> None:
    """To half of the size."""
    bid, _ = await at.best()
    wish = at.wish(bid - 50 * at.tick, size)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted)
    key = OrderKey(at.symbol, wish.client_order_id, receipt.venue_order_id)
    await at.until(key, pb.ORDER_STATE_OPEN)
    smaller = OrderRequest(**{
        **{name: getattr(wish, name) for name in wish.__slots__}, "size": wish.size / 2
    })  # fmt: skip
    amended = await at.desk.amend(key, smaller)
    assert isinstance(amended, Accepted), amended
    while (found := await at.desk.find(key)) is None or found.size != smaller.size:
        await asyncio.sleep(0.05)
    assert found.client_order_id == wish.client_order_id
    assert isinstance(await at.desk.cancel(key), Accepted)


def _check_balances(before: Mapping[str, VenueBalance], after: Mapping[str, VenueBalance]) -> None:
    """Something was bought, and nothing is held any more."""
    changed = [asset for asset in after if after[asset] != before.get(asset)]
    assert len(changed) >= 2, (before, after)
    assert all(one.total == one.free for one in after.values())


async def check_unclear(at: Scene, size: Decimal) -> None:
    """An order whose answer is lost is there once, and one that was turned away is not; the desk
    does not say otherwise."""
    bid, _ = await at.best()
    assert not await at.desk.open_orders()
    for fault in ("answer_lost", "answer_500"):
        await at.warm()
        at.venue.order(fault, path=at.socket_path)
        wish = at.wish(bid - 50 * at.tick, size)
        receipt = await at.desk.place(wish)
        assert isinstance(receipt, OutcomeUnknown), (fault, receipt)
        key = OrderKey(at.symbol, wish.client_order_id, "")
        await at.until(key, pb.ORDER_STATE_OPEN)
        (found,) = await at.desk.open_orders()
        assert found.client_order_id == wish.client_order_id
        key = OrderKey(at.symbol, wish.client_order_id, found.venue_order_id)
        await at.warm()
        at.venue.order(fault, path=at.socket_path)
        assert isinstance(await at.desk.cancel(key), OutcomeUnknown)
        await at.until(key, pb.ORDER_STATE_CANCELLED)
        at.venue.clear()
    for fault in () if at.socket_path else ("rest_500", "rest_503", "rest_html", "rest_429"):
        at.venue.order(fault)
        wish = at.wish(bid - 50 * at.tick, size)
        receipt = await at.desk.place(wish)
        assert isinstance(receipt, OutcomeUnknown | Rejected), receipt
        if fault == "rest_429":
            assert isinstance(receipt, Rejected)
            assert receipt.reason == pb.REJECT_REASON_RATE_LIMIT
        at.venue.clear()
        assert await at.desk.find(OrderKey(at.symbol, wish.client_order_id, "")) is None


async def check_cut(at: Scene, size: Decimal) -> None:
    """A stream that was cut says so, and goes on."""
    before = sum(isinstance(event, StreamInterrupted) for event in at.heard)
    at.venue.order("server_shutdown", seconds=0.1)
    while sum(isinstance(event, StreamInterrupted) for event in at.heard) == before:
        at.changed.clear()
        await at.changed.wait()
    bid, _ = await at.best()
    wish = at.wish(bid - 50 * at.tick, size)
    assert isinstance(await at.desk.place(wish), Accepted)
    await at.hear_state(wish, pb.ORDER_STATE_OPEN)
    assert isinstance(await at.desk.cancel_all(), Accepted)
