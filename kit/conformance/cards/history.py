"""Cards about what is asked over REST."""

from decimal import Decimal

from kit.base.errors import NotSupported, RateLimited, VenuemeshError, VenueUnavailable
from kit.conformance.card import Failed, Rig, Skipped, card, expect

COUNT = 20


@card("HST-1")
async def trades(rig: Rig) -> None:
    """Past trades come oldest first, from an id where ids are numbers."""
    history = rig.connector.venue.history
    newest = await history.trades(rig.first, 0, 0, COUNT)
    expect(newest, "there are none")
    times = [one.venue_time_ns for one in newest]
    expect(times == sorted(times), "not oldest first")
    if not newest[0].trade_id.isdigit():
        return
    begin = int(newest[len(newest) // 2].trade_id)
    try:
        found = await history.trades(rig.first, begin, 0, COUNT)
    except NotSupported as error:
        raise Skipped(error.message) from None
    ids = [int(one.trade_id) for one in found]
    expect(ids and ids[0] >= begin and ids == sorted(ids), f"from {begin}: {ids[:3]}")


@card("HST-2")
async def candles(rig: Rig) -> None:
    """Past candles come oldest first, and are sane."""
    found = await rig.connector.venue.history.candles(rig.first, "1m", 0, COUNT)
    expect(found, "there are none")
    times = [one.open_time_ns for one in found]
    expect(times == sorted(set(times)), "not oldest first")
    for one in found:
        low, high = Decimal(one.low), Decimal(one.high)
        expect(low <= Decimal(one.open) <= high, f"open {one.open}, low {low}, high {high}")
        expect(low <= Decimal(one.close) <= high, f"close {one.close}, low {low}, high {high}")


@card("HST-3")
async def rate_limited(rig: Rig) -> None:
    """A 429 is RATE_LIMITED, and says when to come back."""
    error = await _refused(rig, "rest_429")
    expect(isinstance(error, RateLimited), f"it was {error.reason}: {error.message}")


@card("HST-4")
async def page(rig: Rig) -> None:
    """A page of HTML is VENUE_UNAVAILABLE."""
    error = await _refused(rig, "rest_html")
    expect(isinstance(error, VenueUnavailable), f"it was {error.reason}: {error.message}")


@card("HST-5")
async def refused(rig: Rig) -> None:
    """Whatever else is refused is an error that says why."""
    for fault in ("rest_403", "rest_418", "rest_500", "rest_503"):
        error = await _refused(rig, fault)
        expect(isinstance(error, VenueUnavailable | RateLimited), f"{fault}: {error.reason}")


async def _refused(rig: Rig, fault: str) -> VenuemeshError:
    rig.exchange.order(fault, count=0, seconds=0.0)
    try:
        await rig.connector.venue.history.trades(rig.first, 0, 0, COUNT)
    except VenuemeshError as error:
        return error
    finally:
        rig.exchange.clear()
    raise Failed(f"{fault} was taken for an answer")
