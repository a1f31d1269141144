"""Cards about REST calls."""

from decimal import Decimal

from venuemesh.marketdata.v1 import market_data_pb2

from kit.base.errors import RateLimited, VenuemeshError, VenueUnavailable
from kit.conformance.card import CardContext, CardFailure, card, expect
from kit.conformance.cards.trades import more_trades
from kit.connector.contract.venue import TradeHistoryLookup

COUNT = 20
TIMES_MIN = 3
TRIES = 10


@card("HST-1")
async def trades(context: CardContext) -> None:
    """Past trades come oldest first, and from an id where the venue declares it; the last trade is
    none of the older ones."""
    history = context.venue.history
    newest = await _trades_of_several_times(context)
    last = await history.last_trade(context.first)
    expect(last is not None, "there is no last trade")
    if last is not None:
        text = f"the last trade is {last.trade_id}, after {newest[-1].trade_id}"
        expect(last.venue_time_ns >= newest[-1].venue_time_ns, text)
    if TradeHistoryLookup.BY_ID not in context.venue.profile.trade_history:
        return
    begin = int(newest[len(newest) // 2].trade_id)
    found = await history.trades(context.first, begin, 0, COUNT)
    ids = [int(one.trade_id) for one in found]
    expect(ids and ids[0] >= begin and ids == sorted(ids), f"from {begin}: {ids[:3]}")


async def _trades_of_several_times(context: CardContext) -> list[market_data_pb2.Trade]:
    """The newest trades, oldest first, as soon as they have several times: one shows no order."""
    times: list[int] = []
    for tries in range(1, TRIES + 1):
        # Where times are whole seconds, more trades are needed.
        newest = await context.venue.history.trades(context.first, 0, 0, COUNT * tries)
        expect(newest, "there are none")
        times = [one.venue_time_ns for one in newest]
        expect(times == sorted(times), "not oldest first")
        if len(set(times)) >= TIMES_MIN:
            return newest
        await more_trades(context, len(context.connector.batches), COUNT)
    seen = f"{len(times)} trades have {len(set(times))} different times: no order can be seen"
    raise CardFailure(seen)


@card("HST-2")
async def candles(context: CardContext) -> None:
    """Past candles come oldest first, with open and close between low and high."""
    found = await context.venue.history.candles(context.first, "1m", 0, COUNT)
    expect(found, "there are none")
    times = [one.open_time_ns for one in found]
    expect(times == sorted(set(times)), "not oldest first")
    for one in found:
        low, high = Decimal(one.low), Decimal(one.high)
        expect(low <= Decimal(one.open) <= high, f"open {one.open}, low {low}, high {high}")
        expect(low <= Decimal(one.close) <= high, f"close {one.close}, low {low}, high {high}")


@card("HST-3")
async def rate_limited(context: CardContext) -> None:
    """A 429 answer is the error RATE_LIMITED."""
    error = await _refused(context, "rest_429")
    expect(isinstance(error, RateLimited), f"it was {error.reason}: {error.message}")


@card("HST-4")
async def html_page(context: CardContext) -> None:
    """A page of HTML is the error VENUE_UNAVAILABLE."""
    error = await _refused(context, "rest_html")
    expect(isinstance(error, VenueUnavailable), f"it was {error.reason}: {error.message}")


@card("HST-5")
async def other_refusals(context: CardContext) -> None:
    """Each other refusal is an error with its reason."""
    for fault in ("rest_403", "rest_418", "rest_500", "rest_503"):
        error = await _refused(context, fault)
        expect(isinstance(error, VenueUnavailable | RateLimited), f"{fault}: {error.reason}")


async def _refused(context: CardContext, fault: str) -> VenuemeshError:
    context.exchange.order(fault, count=0, seconds=0.0)
    try:
        await context.venue.history.trades(context.first, 0, 0, COUNT)
    except VenuemeshError as error:
        return error
    finally:
        context.exchange.clear()
    raise CardFailure(f"{fault} did not raise an error")
