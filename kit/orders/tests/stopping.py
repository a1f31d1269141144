"""What every desk must do whose venue has stops, at the pretended exchange."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.orders.contract import Accepted, OrderKey, Refused, VenueFill
from kit.orders.tests.trading import Scene


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
    assert isinstance(await at.desk.cancel(key), Refused)
    again = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=stop_price)
    assert isinstance(await at.desk.place(again), Accepted)
    await at.hear_state(again, pb.ORDER_STATE_OPEN)
    assert isinstance(await at.desk.cancel_all(), Accepted)
    await at.hear_state(again, pb.ORDER_STATE_CANCELLED)
    assert not await at.desk.open_orders()
    early = at.wish(price, size, side=types_pb2.SIDE_SELL, type=kind, stop_price=ask + at.tick)
    refused = await at.desk.place(replace(early, price=price and ask))
    assert isinstance(refused, Refused), refused
    assert refused.reason == pb.REJECT_REASON_STOP_PRICE


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
    await trade(at, Decimal(book.bids[0][1]) + size, reached)
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


async def trade(at: Scene, size: Decimal, price: Decimal | None = None) -> None:
    """Have another account buy at market, or sell down to a price; so there is a last price."""
    limits = {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, "side": types_pb2.SIDE_SELL}
    other = at.make_desk("other-key")
    try:
        wish = at.wish(price, size, **(limits if price is not None else {}))
        assert isinstance(await other.place(wish), Accepted)
    finally:
        await other.close()
