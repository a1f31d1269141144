"""What every desk must do whose venue has stops, at the pretended exchange."""

import random
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import (
    Accepted,
    ExecutionClient,
    OrderKey,
    OrderRequest,
    Rejected,
    VenueFill,
    VenueOrder,
)
from kit.execution.tests.sent_once import Survival, until
from kit.execution.tests.simulated_process import verified
from kit.execution.tests.trading import Scene


async def check_plain_only(desk: ExecutionClient, stop: OrderRequest) -> None:
    """A venue whose stops are good till cancelled and never post-only is not asked for others."""
    strange: tuple[dict[str, Any], ...] = (
        {"post_only": True},
        {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL},
        {"stop_price": None},
    )
    for terms in strange:
        refused = await desk.place(replace(stop, **terms))
        assert isinstance(refused, Rejected), refused
        assert refused.reason == pb.REJECT_REASON_NOT_SUPPORTED


async def check_stop(at: Scene, size: Decimal, kind: Any = pb.ORDER_TYPE_STOP_LIMIT) -> None:
    """A stop waits at the venue, is found, and is cancelled."""
    await trade(at, size)
    bid, ask = await at.best()
    stop_price = bid - 1000 * at.tick
    price = stop_price - 10 * at.tick if kind == pb.ORDER_TYPE_STOP_LIMIT else None
    wish = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=stop_price)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted), receipt
    heard = await at.hear_state(wish, pb.ORDER_STATE_OPEN)
    (waiting,) = await at.desk.open_orders()
    key = OrderKey(at.symbol, wish.client_order_id, "")
    by_client_id = await at.until(key, pb.ORDER_STATE_OPEN)
    by_ids = await at.until(replace(key, venue_order_id=receipt.venue_order_id), heard.state)
    for found in (heard, waiting, by_client_id, by_ids):
        assert (found.type, found.side, found.size) == (kind, wish.side, size), found
        assert (found.stop_price, found.price) == (stop_price, price), found
        assert found.venue_order_id == receipt.venue_order_id
        assert found.client_order_id == wish.client_order_id
    assert isinstance(await at.desk.cancel(key), Accepted)
    await at.hear_state(wish, pb.ORDER_STATE_CANCELLED)
    await at.until(key, pb.ORDER_STATE_CANCELLED)
    assert isinstance(await at.desk.cancel(key), Rejected)
    again = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=stop_price)
    assert isinstance(await at.desk.place(again), Accepted)
    await at.hear_state(again, pb.ORDER_STATE_OPEN)
    assert isinstance(await at.desk.cancel_all(), Accepted)
    await at.hear_state(again, pb.ORDER_STATE_CANCELLED)
    assert not await at.desk.open_orders()
    early = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=ask + at.tick)
    refused = await at.desk.place(replace(early, price=price and ask))
    assert isinstance(refused, Rejected), refused
    assert refused.reason == pb.REJECT_REASON_STOP_PRICE


async def check_amend_stop(at: Scene, size: Decimal, kind: Any = pb.ORDER_TYPE_STOP_LIMIT) -> None:
    """A stop that waits gets another stop price, and is the same order."""
    assert at.desk.capabilities.amends_stop_price
    await trade(at, size)
    bid, _ = await at.best()
    stop_price = bid - 1000 * at.tick
    price = stop_price - 10 * at.tick if kind == pb.ORDER_TYPE_STOP_LIMIT else None
    wish = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=stop_price)
    receipt = await at.desk.place(wish)
    assert isinstance(receipt, Accepted), receipt
    await at.hear_state(wish, pb.ORDER_STATE_OPEN)
    for steps, named in ((100, True), (200, False)):
        wanted = replace(wish, stop_price=stop_price - steps * at.tick)
        venue_id = receipt.venue_order_id if named else ""
        key = OrderKey(at.symbol, wish.client_order_id, venue_id)
        amended = await at.desk.amend(key, wanted)
        assert isinstance(amended, Accepted), amended
        heard = await _hear_stop_price(at, wanted)
        found = await at.until(key, pb.ORDER_STATE_OPEN)
        (waiting,) = await at.desk.open_orders()
        for one in (heard, found, waiting):
            assert (one.stop_price, one.price) == (wanted.stop_price, price), one
            assert (one.type, one.size, one.state) == (kind, size, pb.ORDER_STATE_OPEN), one
    assert isinstance(await at.desk.cancel(key), Accepted)
    await at.hear_state(wish, pb.ORDER_STATE_CANCELLED)
    late = await at.desk.amend(key, wanted)
    assert isinstance(late, Rejected), late


async def _hear_stop_price(at: Scene, wish: OrderRequest) -> VenueOrder:
    """The order with this stop price, over the stream."""
    order = await at.hear(
        lambda event: (
            isinstance(event, VenueOrder)
            and event.client_order_id == wish.client_order_id
            and event.stop_price == wish.stop_price
        )
    )
    assert isinstance(order, VenueOrder)
    return order


async def check_stop_wakes(at: Scene, size: Decimal, *, tells_fills: bool = True) -> None:
    """When its price is reached, it is the same order, however the venue calls it then: one with a
    limit that nobody meets, and one at market."""
    book = await at.venue.book(at.symbol)
    reached = Decimal(book.bids[1][0])
    far = (await at.best())[1] + 500 * at.tick
    sells = {"side": types_pb2.SIDE_SELL, "stop_price": reached}
    limited = at.wish(far, size, type=pb.ORDER_TYPE_STOP_LIMIT, **sells)
    at_market = at.wish(None, size, type=pb.ORDER_TYPE_STOP, **sells)
    for wish in (limited, at_market):
        assert isinstance(await at.desk.place(wish), Accepted)
        await at.hear_state(wish, pb.ORDER_STATE_OPEN)
    await sell_down(at, size, reached)
    key = OrderKey(at.symbol, at_market.client_order_id, "")
    done = await at.until(key, pb.ORDER_STATE_FILLED)
    heard = await at.hear_state(at_market, pb.ORDER_STATE_FILLED)
    assert heard.venue_order_id == done.venue_order_id
    assert heard.filled_size == done.filled_size == size
    fills = await at.desk.fills(at.symbol, 0)
    assert sum(one.size for one in fills if one.venue_order_id == done.venue_order_id) == size
    told = [one for one in at.heard if isinstance(one, VenueFill)]
    ours = [one for one in told if one.client_order_id == at_market.client_order_id]
    assert sum(one.size for one in ours) == (size if tells_fills else 0)
    (open_,) = await at.desk.open_orders()
    assert (open_.client_order_id, open_.price) == (limited.client_order_id, far)
    named = OrderKey(at.symbol, limited.client_order_id, open_.venue_order_id)
    assert isinstance(await at.desk.cancel(named), Accepted)
    await at.hear_state(limited, pb.ORDER_STATE_CANCELLED)
    for found in (named, replace(named, venue_order_id="")):
        ended = await at.until(found, pb.ORDER_STATE_CANCELLED)
        assert ended.venue_order_id == open_.venue_order_id


async def check_one_order(at: Scene, size: Decimal, folder: Path) -> None:
    """To an account, a stop and what it makes are one order with all its fills: while it is
    followed, and when it wakes and is filled while nobody is there."""
    await trade(at, size)
    survival = Survival(at, folder, random.Random(7))
    async with survival.life(0) as account:
        for name, depth in (("seen", 1), ("unseen", 4)):
            stop_price = Decimal((await at.venue.book(at.symbol)).bids[depth][0])
            entry = await account.submitter.submit(verified(_content(at, size, stop_price), name))
            await until(lambda entry=entry: entry.state == pb.ORDER_STATE_OPEN)
            if name == "seen":
                before = entry.venue_order_id
                await sell_down(at, size, stop_price)
                await until(lambda entry=entry: entry.state == pb.ORDER_STATE_FILLED)
                await until(lambda entry=entry: entry.fill_size == size)
                assert before
        assert not entry.is_final
    await sell_down(at, size, stop_price)
    async with survival.life(1) as account:
        orders = account.state.index.orders
        found = orders[entry.key]
        await until(lambda: found.state == pb.ORDER_STATE_FILLED)
        await until(lambda: found.fill_size == size)
        assert len(orders) == 2
        assert not any(one.external for one in orders.values())
        assert not account.state.unmatched
    stops = [one for one in at.house.orders("demo") if one.triggered]
    assert len(stops) == 2


def _content(at: Scene, size: Decimal, stop_price: Decimal) -> pb.OrderContent:
    return pb.OrderContent(
        venue=at.venue.venue_id,
        account="demo",
        symbol=at.symbol,
        side=types_pb2.SIDE_SELL,
        type=pb.ORDER_TYPE_STOP,
        size=f"{size:f}",
        stop_price=f"{stop_price:f}",
    )


async def sell_down(at: Scene, size: Decimal, price: Decimal) -> None:
    """Have another account sell until a trade is made at a price, or there is nothing above it."""
    book = await at.venue.book(at.symbol)
    above = sum(Decimal(amount) for level, amount in book.bids if Decimal(level) > price)
    await trade(at, above + size, price)


async def trade(at: Scene, size: Decimal, price: Decimal | None = None) -> None:
    """Have another account buy at market, or sell down to a price; so there is a last price."""
    limits = {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, "side": types_pb2.SIDE_SELL}
    other = at.make_desk("other-key")
    try:
        wish = at.wish(price, size, **(limits if price is not None else {}))
        assert isinstance(await other.place(wish), Accepted)
    finally:
        await other.close()
