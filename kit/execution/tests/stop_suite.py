"""What every execution client must do whose venue has stops, at the simulated exchange."""

import random
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.contract import (
    ExecutionClient,
    OrderKey,
    OrderRequest,
    OrderType,
    RequestAccepted,
    RequestRejected,
    VenueFill,
    VenueOrder,
)
from kit.execution.tests.client_session import ClientSession
from kit.execution.tests.crash_suite import RestartedAccount, until
from kit.execution.tests.simulated_process import verified

SELL = types_pb2.SIDE_SELL
STOP, STOP_LIMIT = pb.ORDER_TYPE_STOP, pb.ORDER_TYPE_STOP_LIMIT


async def check_stop_limits_wait(session: ClientSession) -> None:
    """A stop-limit order waits at the venue, is found, and is cancelled."""
    await _check_stop(session, STOP_LIMIT)


async def check_stops_wait_and_are_triggered(session: ClientSession) -> None:
    """Stops wait at the venue, with and without a limit, and are the same orders afterwards."""
    await _check_stop(session, STOP_LIMIT)
    await _check_stop(session, STOP)
    await _check_triggered_stop(session)


async def check_stops_are_amended(session: ClientSession) -> None:
    """A stop that waits gets another stop price, and is the same order."""
    for kind in (STOP_LIMIT, STOP):
        await _check_amended_stop(session, kind)
    assert not await session.client.open_orders()


async def check_unsupported_stops(client: ExecutionClient, stop: OrderRequest) -> None:
    """A venue whose stops are good till cancelled and never post-only is not sent others."""
    unsupported: Iterable[dict[str, Any]] = (
        {"post_only": True},
        {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL},
        {"stop_price": None},
    )
    for terms in unsupported:
        verdict = await client.place(structs.replace(stop, **terms))
        assert isinstance(verdict, RequestRejected), verdict
        assert verdict.reason == pb.REJECT_REASON_NOT_SUPPORTED


async def check_triggered_stop_is_one_order(session: ClientSession) -> None:
    """For an account, a stop and the order it becomes are one order with all its fills: while the
    account follows it, and when it is triggered and filled while no process runs."""
    await _trade(session, session.size)
    with tempfile.TemporaryDirectory() as folder:
        restarted = RestartedAccount(session, random.Random(7), Path(folder))
        async with restarted.run(0) as account:
            for name, depth in (("followed", 1), ("unseen", 4)):
                stop_price = Decimal((await session.exchange.book(session.symbol)).bids[depth][0])
                content = _content(session, stop_price)
                order = await account.submitter.submit(verified(content, name))
                await until(lambda order=order: order.state == pb.ORDER_STATE_OPEN)
                if name == "followed":
                    before = order.venue_order_id
                    await _sell_down(session, stop_price)
                    await until(lambda order=order: order.state == pb.ORDER_STATE_FILLED)
                    await until(lambda order=order: order.fill_size == session.size)
                    assert before
            assert not order.is_final
        await _sell_down(session, stop_price)
        async with restarted.run(1) as account:
            orders = account.state.index.orders
            found = orders[order.key]
            await until(lambda: found.state == pb.ORDER_STATE_FILLED)
            await until(lambda: found.fill_size == session.size)
            assert len(orders) == 2
            assert not any(one.external for one in orders.values())
            assert not account.state.unmatched
    stops = [one for one in session.engine.orders("demo") if one.triggered]
    assert len(stops) == 2
    assert not await session.client.open_orders()


async def _check_stop(session: ClientSession, kind: OrderType) -> None:
    client = session.client
    await _trade(session, session.size)
    bid, ask = await session.best()
    request = _stop_below(session, bid, kind)
    placed = await session.place(request)
    update = await session.wait_for_state(request, pb.ORDER_STATE_OPEN)
    (listed,) = await client.open_orders()
    key = replace(placed, venue_order_id="")
    by_client_id = await session.query_until(key, pb.ORDER_STATE_OPEN)
    by_ids = await session.query_until(placed, update.state)
    for found in (update, listed, by_client_id, by_ids):
        assert (found.type, found.side, found.size) == (kind, SELL, session.size), found
        assert (found.stop_price, found.price) == (request.stop_price, request.price), found
        assert found.venue_order_id == placed.venue_order_id
        assert found.client_order_id == request.client_order_id
    assert isinstance(await client.cancel(key), RequestAccepted)
    await session.wait_for_state(request, pb.ORDER_STATE_CANCELLED)
    await session.query_until(key, pb.ORDER_STATE_CANCELLED)
    assert isinstance(await client.cancel(key), RequestRejected)
    second = _stop_below(session, bid, kind)
    await session.place(second)
    await session.wait_for_state(second, pb.ORDER_STATE_OPEN)
    assert isinstance(await client.cancel_all(), RequestAccepted)
    await session.wait_for_state(second, pb.ORDER_STATE_CANCELLED)
    assert not await client.open_orders()
    reached = structs.replace(
        _stop_below(session, bid, kind),
        stop_price=ask + session.tick,
        price=None if request.price is None else ask,
    )
    verdict = await client.place(reached)
    assert isinstance(verdict, RequestRejected), verdict
    assert verdict.reason == pb.REJECT_REASON_STOP_PRICE


async def _check_amended_stop(session: ClientSession, kind: OrderType) -> None:
    client = session.client
    assert client.capabilities.amends_stop_price
    await _trade(session, session.size)
    bid, _ = await session.best()
    request = _stop_below(session, bid, kind)
    assert request.stop_price is not None
    placed = await session.place(request)
    await session.wait_for_state(request, pb.ORDER_STATE_OPEN)
    for steps, key in ((100, placed), (200, replace(placed, venue_order_id=""))):
        amended = structs.replace(request, stop_price=request.stop_price - steps * session.tick)
        verdict = await client.amend(key, amended)
        assert isinstance(verdict, RequestAccepted), verdict
        update = await _wait_for_stop_price(session, amended)
        found = await session.query_until(key, pb.ORDER_STATE_OPEN)
        (listed,) = await client.open_orders()
        for one in (update, found, listed):
            assert (one.stop_price, one.price) == (amended.stop_price, request.price), one
            assert (one.type, one.size, one.state) == (kind, session.size, pb.ORDER_STATE_OPEN)
    assert isinstance(await client.cancel(key), RequestAccepted)
    await session.wait_for_state(request, pb.ORDER_STATE_CANCELLED)
    late = await client.amend(key, amended)
    assert isinstance(late, RequestRejected), late


async def _check_triggered_stop(session: ClientSession) -> None:
    """A triggered stop is the same order, whatever the venue calls it then: one with a limit that
    nobody meets, and one at market."""
    client, size = session.client, session.size
    book = await session.exchange.book(session.symbol)
    reached = Decimal(book.bids[1][0])
    far = (await session.best())[1] + 500 * session.tick
    limited = session.request(far, type=STOP_LIMIT, side=SELL, stop_price=reached)
    at_market = session.request(None, type=STOP, side=SELL, stop_price=reached)
    for request in (limited, at_market):
        await session.place(request)
        await session.wait_for_state(request, pb.ORDER_STATE_OPEN)
    await _sell_down(session, reached)
    key = OrderKey(session.symbol, at_market.client_order_id, "")
    found = await session.query_until(key, pb.ORDER_STATE_FILLED)
    update = await session.wait_for_state(at_market, pb.ORDER_STATE_FILLED)
    assert update.venue_order_id == found.venue_order_id
    assert update.filled_size == found.filled_size == size
    fills = await session.fills()
    assert sum(one.size for one in fills if one.venue_order_id == found.venue_order_id) == size
    published = [
        one
        for one in session.events
        if isinstance(one, VenueFill) and one.client_order_id == at_market.client_order_id
    ]
    expected = size if session.subject.publishes_fills else 0
    assert sum(one.size for one in published) == expected
    (listed,) = await client.open_orders()
    assert (listed.client_order_id, listed.price) == (limited.client_order_id, far)
    by_ids = OrderKey(session.symbol, limited.client_order_id, listed.venue_order_id)
    assert isinstance(await client.cancel(by_ids), RequestAccepted)
    await session.wait_for_state(limited, pb.ORDER_STATE_CANCELLED)
    for each in (by_ids, replace(by_ids, venue_order_id="")):
        ended = await session.query_until(each, pb.ORDER_STATE_CANCELLED)
        assert ended.venue_order_id == listed.venue_order_id


def _stop_below(session: ClientSession, bid: Decimal, kind: OrderType) -> OrderRequest:
    """A stop to sell, far below the market."""
    stop_price = bid - 1000 * session.tick
    price = stop_price - 10 * session.tick if kind == STOP_LIMIT else None
    return session.request(price, type=kind, side=SELL, stop_price=stop_price)


async def _wait_for_stop_price(session: ClientSession, request: OrderRequest) -> VenueOrder:
    """Wait until the account stream reports the order with its stop price."""
    order = await session.wait_for(
        lambda event: (
            isinstance(event, VenueOrder)
            and event.client_order_id == request.client_order_id
            and event.stop_price == request.stop_price
        )
    )
    assert isinstance(order, VenueOrder)
    return order


def _content(session: ClientSession, stop_price: Decimal) -> pb.OrderContent:
    return pb.OrderContent(
        venue=session.exchange.venue_id,
        account="demo",
        symbol=session.symbol,
        side=SELL,
        type=STOP,
        size=f"{session.size:f}",
        stop_price=f"{stop_price:f}",
    )


async def _sell_down(session: ClientSession, price: Decimal) -> None:
    """Have another account sell until a trade is made at a price."""
    book = await session.exchange.book(session.symbol)
    above = sum(Decimal(amount) for level, amount in book.bids if Decimal(level) > price)
    await _trade(session, above + session.size, price)


async def _trade(session: ClientSession, size: Decimal, price: Decimal | None = None) -> None:
    """Have another account buy at market, or sell down to a price: then there is a last price."""
    terms: dict[str, Any] = {}
    if price is not None:
        terms = {"time_in_force": pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL, "side": SELL}
    await session.place_as_other(session.request(price, size, **terms))
