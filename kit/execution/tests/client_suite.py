"""What every execution client must do at the simulated exchange of its venue.

A venue's test opens a session for its client and runs each of ``ORDER_CHECKS`` in one of its own;
``stop_suite`` and ``crash_suite`` have more checks for venues that qualify.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from unittest.mock import patch

from msgspec import structs
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2 as pb

from kit.execution.client_order_ids import client_order_id
from kit.execution.contract import (
    NO_END_NS,
    BatchOrderEntry,
    OrderKey,
    OrderRequest,
    OutcomeUnknown,
    RequestAccepted,
    RequestRejected,
    SelfTradePrevention,
    StreamInterrupted,
    VenueBalance,
    VenueFill,
    VenueOrder,
    VenuePosition,
)
from kit.execution.tests.client_session import ClientSession
from kit.execution.tests.configuration_suite import check_configuration

UNSPECIFIED = pb.SELF_TRADE_PREVENTION_UNSPECIFIED
Check = Callable[[ClientSession], Awaitable[None]]


async def check_orders_rest_until_cancelled(session: ClientSession) -> None:
    """A resting order is found, reported and cancelled once; then several are cancelled at once."""
    await _check_resting_order(session)
    await _check_cancel_all(session)
    assert len({one.client_order_id for one in session.events if hasattr(one, "state")}) == 4
    assert not await session.client.open_orders()


async def check_orders_are_filled(session: ClientSession) -> None:
    """A limit order is filled in part, and a market order as a whole, reported exactly."""
    await _check_partial_fill(session)
    await _check_market_order(session)
    has_fills = any(isinstance(one, VenueFill) for one in session.events)
    assert has_fills == session.subject.publishes_fills
    if session.subject.is_derivative:
        size = session.size * 3 / 2
        (position,) = await session.client.positions()
        assert position.size == size
        if session.subject.publishes_positions:
            await session.wait_for(
                lambda event: isinstance(event, VenuePosition) and event.size == size
            )


async def check_fills_are_listed_in_pages(session: ClientSession) -> None:
    """Several pages of fills complete the whole span of time, and two parts of it do too."""
    for _ in range(17):
        key = await session.place(session.request(None))
        await session.query_until(key, pb.ORDER_STATE_FILLED)
    expected = sorted(fill.fill_id for fill in await session.fills())
    with patch(session.subject.fills_page, 5):
        pages = [page async for page in session.client.fills(session.symbol, 0)]
        assert len([page for page in pages if page.fills]) > 3
        fills = [fill for page in pages for fill in page.fills]
        assert sorted(fill.fill_id for fill in fills) == expected
        spans = sorted(
            (page.begin_ns, page.end_ns) for page in pages if page.begin_ns < page.end_ns
        )
        assert [begin for begin, _ in spans] == [0, *(end for _, end in spans[:-1])]
        assert spans[-1][1] == NO_END_NS
        middle_ns = sorted(fill.venue_time_ns for fill in fills)[len(fills) // 2]
        parts = [(0, middle_ns), (middle_ns, NO_END_NS)]
        found = [
            fill.fill_id
            for begin_ns, end_ns in parts
            async for page in session.client.fills(session.symbol, begin_ns, end_ns)
            for fill in page.fills
            if begin_ns <= fill.venue_time_ns < end_ns
        ]
        assert sorted(found) == expected


async def check_rejections_and_amendments(session: ClientSession) -> None:
    """Too large an order is rejected, and an open order is amended."""
    await _check_rejections(session)
    await _check_amendment(session)
    assert not await session.client.open_orders()


async def check_lost_answers_and_streams(session: ClientSession) -> None:
    """A lost answer is OutcomeUnknown, and a stream that was interrupted resumes."""
    await _check_unknown_outcomes(session)
    await _check_interrupted_stream(session)
    assert not await session.client.open_orders()


async def check_orders_do_not_meet_their_own(session: ClientSession) -> None:
    """The venue does what an order asks for when it meets one of the same account: what is
    cancelled has ended with nothing filled and a reason, and the rest stays open. The simulated
    exchanges of venues where an order cannot ask cancel the order that arrives."""
    modes = session.client.capabilities.self_trade_prevention
    for mode in sorted(modes - {pb.SELF_TRADE_PREVENTION_ALLOW}) or [UNSPECIFIED]:
        await _check_self_trade(session, mode)
    assert isinstance(await session.client.cancel_all(), RequestAccepted)
    assert not await session.fills()


async def check_several_orders_have_their_own_answers(session: ClientSession) -> None:
    """Of several orders in one request, those that the venue accepts rest, another is rejected, and
    several are cancelled in one request."""
    client = session.client
    if client.capabilities.batch_max == 1:
        return
    assert isinstance(client, BatchOrderEntry)
    bid, _ = await session.best()
    prices = [bid - step * session.tick for step in (20, 30, 40)]
    good = [session.request(price) for price in prices]
    wanted = [good[0], session.request(prices[0], session.size * 10**9), *good[1:]]
    verdicts = await client.place_many(wanted)
    assert isinstance(verdicts[1], RequestRejected), verdicts
    accepted = [one for one in verdicts if isinstance(one, RequestAccepted)]
    keys = []
    for request, verdict in zip(good, accepted, strict=True):
        key = OrderKey(session.symbol, request.client_order_id, verdict.venue_order_id)
        found = await session.query_until(key, pb.ORDER_STATE_OPEN)
        assert (found.venue_order_id, found.price) == (verdict.venue_order_id, request.price)
        keys.append(key)
    unknown = OrderKey(session.symbol, client_order_id("test", "main", "never"), "")
    *cancelled, missing = await client.cancel_many([*keys, unknown])
    assert all(isinstance(one, RequestAccepted) for one in cancelled), cancelled
    assert isinstance(missing, RequestRejected), missing
    for request in good:
        await session.wait_for_state(request, pb.ORDER_STATE_CANCELLED)
    assert not await client.open_orders()


ORDER_CHECKS: tuple[Check, ...] = (
    check_several_orders_have_their_own_answers,
    check_orders_rest_until_cancelled,
    check_orders_do_not_meet_their_own,
    check_orders_are_filled,
    check_fills_are_listed_in_pages,
    check_rejections_and_amendments,
    check_lost_answers_and_streams,
    check_configuration,
)


async def _check_resting_order(session: ClientSession) -> None:
    client = session.client
    bid, _ = await session.best()
    request = session.request(bid - 50 * session.tick, post_only=True)
    placed = await session.place(request)
    key = replace(placed, venue_order_id="")
    found = await session.query_until(key, pb.ORDER_STATE_OPEN)
    assert (found.size, found.price, found.filled_size) == (request.size, request.price, 0)
    assert found.client_order_id == request.client_order_id
    assert found.venue_order_id == placed.venue_order_id
    assert (found.side, found.type) == (request.side, request.type)
    update = await session.wait_for_state(request, pb.ORDER_STATE_OPEN)
    assert (update.size, update.price) == (request.size, request.price)
    assert request.client_order_id in [one.client_order_id for one in await client.open_orders()]
    assert isinstance(await client.cancel(key), RequestAccepted)
    await session.wait_for_state(request, pb.ORDER_STATE_CANCELLED)
    await session.query_until(key, pb.ORDER_STATE_CANCELLED)
    second = await client.cancel(key)
    assert isinstance(second, RequestRejected), second
    unknown = OrderKey(session.symbol, client_order_id("test", "main", "never"), "")
    assert await client.find(unknown) is None
    assert not await client.open_orders(session.symbol)


async def _check_cancel_all(session: ClientSession) -> None:
    """All are cancelled, and cancelling none is no error."""
    bid, _ = await session.best()
    requests = [session.request(bid - step * session.tick) for step in (20, 30, 40)]
    for request in requests:
        key = await session.place(request)
        await session.query_until(replace(key, venue_order_id=""), pb.ORDER_STATE_OPEN)
    assert isinstance(await session.client.cancel_all(), RequestAccepted)
    for request in requests:
        await session.wait_for_state(request, pb.ORDER_STATE_CANCELLED)
    assert not await session.client.open_orders()
    assert isinstance(await session.client.cancel_all(session.symbol), RequestAccepted)


async def _check_self_trade(session: ClientSession, mode: SelfTradePrevention) -> None:
    bid, ask = await session.best()
    price = ask - session.tick
    assert price > bid, "nobody else trades at this price"
    maker, taker = (
        session.request(price),
        session.request(price, side=types_pb2.SIDE_SELL, self_trade_prevention=mode),
    )
    keys = [await session.place(maker)]
    await session.query_until(keys[0], pb.ORDER_STATE_OPEN)
    keys.append(await session.place(taker))
    ends = (mode not in (UNSPECIFIED, pb.SELF_TRADE_PREVENTION_CANCEL_TAKER),
            mode != pb.SELF_TRADE_PREVENTION_CANCEL_MAKER)  # fmt: skip
    for request, key, is_ended in zip((maker, taker), keys, ends, strict=True):
        if not is_ended:
            await session.query_until(key, pb.ORDER_STATE_OPEN)
            assert isinstance(await session.client.cancel(key), RequestAccepted)
            continue
        reported = await session.wait_for(lambda event, own=request: _has_ended(event, own))
        found = await session.client.find(key)
        for order in (reported, found):
            assert _has_ended(order, request), (mode, order)
            assert order.filled_size == 0
            assert order.reject_reason == pb.REJECT_REASON_SELF_TRADE or order.detail, order


def _has_ended(event: object, request: OrderRequest) -> bool:
    ends = (pb.ORDER_STATE_CANCELLED, pb.ORDER_STATE_EXPIRED)
    is_own = isinstance(event, VenueOrder) and event.client_order_id == request.client_order_id
    return is_own and event.state in ends


async def _check_partial_fill(session: ClientSession) -> None:
    """Another account meets half of the order."""
    client = session.client
    bid, ask = await session.best()
    price = max(bid, ask - session.tick)
    before = {one.asset: one for one in await client.balances()}
    request = session.request(price)
    placed = await session.place(request)
    key = replace(placed, venue_order_id="")
    await session.query_until(key, pb.ORDER_STATE_OPEN)
    immediate = pb.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL
    sale = session.request(
        price, session.size / 2, side=types_pb2.SIDE_SELL, time_in_force=immediate
    )
    await session.place_as_other(sale)
    found = await session.query_until(key, pb.ORDER_STATE_PARTLY_FILLED)
    update = await session.wait_for_state(request, pb.ORDER_STATE_PARTLY_FILLED)
    assert found.filled_size == update.filled_size
    assert found.average_price == update.average_price == request.price
    fills = await session.fills()
    ours = [fill for fill in fills if fill.venue_order_id == placed.venue_order_id]
    assert sum(fill.size for fill in ours) == found.filled_size
    assert all(fill.price == request.price for fill in ours)
    assert all(fill.liquidity == pb.LIQUIDITY_MAKER for fill in ours)
    published = sorted(
        (one.fill_id, one.size, one.fees, one.price)
        for one in session.events
        if isinstance(one, VenueFill)
    )
    expected = sorted((fill.fill_id, fill.size, fill.fees, fill.price) for fill in ours)
    assert published == (expected if session.subject.publishes_fills else [])
    assert isinstance(await client.cancel(key), RequestAccepted)
    last = await session.query_until(key, pb.ORDER_STATE_CANCELLED)
    assert last.filled_size == found.filled_size
    if not session.subject.is_derivative:
        _check_balances(before, {one.asset: one for one in await client.balances()})


def _check_balances(before: Mapping[str, VenueBalance], after: Mapping[str, VenueBalance]) -> None:
    """Two balances have changed, and nothing is reserved any more."""
    changed = [asset for asset in after if after[asset] != before.get(asset)]
    assert len(changed) >= 2, (before, after)
    assert all(one.total == one.free for one in after.values())


async def _check_market_order(session: ClientSession) -> None:
    request = session.request(None)
    key = await session.place(request)
    found = await session.query_until(key, pb.ORDER_STATE_FILLED)
    assert found.filled_size == found.size == request.size
    assert found.average_price
    update = await session.wait_for_state(request, pb.ORDER_STATE_FILLED)
    assert update.filled_size == request.size
    if session.subject.publishes_balances:
        await session.wait_for(lambda event: isinstance(event, VenueBalance))


async def _check_rejections(session: ClientSession) -> None:
    bid, _ = await session.best()
    too_large = session.request(bid - session.tick, session.size * 10**9)
    verdict = await session.client.place(too_large)
    assert isinstance(verdict, RequestRejected), verdict
    assert verdict.reason in (
        pb.REJECT_REASON_INSUFFICIENT_FUNDS,
        pb.REJECT_REASON_SIZE,
        pb.REJECT_REASON_NOTIONAL,
    ), verdict


async def _check_amendment(session: ClientSession) -> None:
    """An open order gets half of its size, and is the same order."""
    bid, _ = await session.best()
    request = session.request(bid - 50 * session.tick)
    key = await session.place(request)
    await session.query_until(key, pb.ORDER_STATE_OPEN)
    smaller = structs.replace(request, size=request.size / 2)
    verdict = await session.client.amend(key, smaller)
    assert isinstance(verdict, RequestAccepted), verdict
    while (found := await session.client.find(key)) is None or found.size != smaller.size:
        await asyncio.sleep(0.05)
    assert found.client_order_id == request.client_order_id
    assert isinstance(await session.client.cancel(key), RequestAccepted)


async def _check_unknown_outcomes(session: ClientSession) -> None:
    """An order whose answer is lost is there once, and one that the exchange turned away is not:
    the client does not say otherwise."""
    client, exchange, path = session.client, session.exchange, session.subject.socket_path
    bid, _ = await session.best()
    price = bid - 50 * session.tick
    assert not await client.open_orders()
    for fault in ("answer_lost", "answer_500"):
        await session.wait_for_socket()
        exchange.order(fault, path=path)
        request = session.request(price)
        verdict = await client.place(request)
        assert isinstance(verdict, OutcomeUnknown), (fault, verdict)
        key = OrderKey(session.symbol, request.client_order_id, "")
        await session.query_until(key, pb.ORDER_STATE_OPEN)
        (found,) = await client.open_orders()
        assert found.client_order_id == request.client_order_id
        key = replace(key, venue_order_id=found.venue_order_id)
        await session.wait_for_socket()
        exchange.order(fault, path=path)
        assert isinstance(await client.cancel(key), OutcomeUnknown)
        await session.query_until(key, pb.ORDER_STATE_CANCELLED)
        exchange.clear()
    for fault in () if path else ("rest_500", "rest_503", "rest_html", "rest_429"):
        exchange.order(fault)
        request = session.request(price)
        verdict = await client.place(request)
        assert isinstance(verdict, OutcomeUnknown | RequestRejected), verdict
        if fault == "rest_429":
            assert isinstance(verdict, RequestRejected)
            assert verdict.reason == pb.REJECT_REASON_RATE_LIMIT
        exchange.clear()
        assert await client.find(OrderKey(session.symbol, request.client_order_id, "")) is None


async def _check_interrupted_stream(session: ClientSession) -> None:
    """The stream reports that it was interrupted, and then new updates."""
    before = sum(isinstance(event, StreamInterrupted) for event in session.events)
    session.exchange.order("server_shutdown", seconds=0.1)
    while sum(isinstance(event, StreamInterrupted) for event in session.events) == before:
        session.received.clear()
        await session.received.wait()
    bid, _ = await session.best()
    request = session.request(bid - 50 * session.tick)
    await session.place(request)
    await session.wait_for_state(request, pb.ORDER_STATE_OPEN)
    assert isinstance(await session.client.cancel_all(), RequestAccepted)
