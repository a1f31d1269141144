"""What the REST history of every venue does at its simulated exchange."""

import pytest

from kit.base.errors import BadRequest, RateLimited, UnknownInstrument, VenueUnavailable
from kit.connector.contract.venue import VenueHistory
from tests.support.raw_client import RawClient

MINUTE_NS = 60_000_000_000
FAULTS = {
    "rest_429": RateLimited,
    "rest_418": RateLimited,
    "rest_500": VenueUnavailable,
    "rest_html": VenueUnavailable,
}


async def check_candles(
    history: VenueHistory, symbol: str, unknown_interval: str, count: int = 10
) -> None:
    """Candles are oldest first and without a hole, start at a time, and an interval that the
    venue does not have is rejected."""
    newest = await history.candles(symbol, "1m", 0, count)
    starts = [candle.open_time_ns for candle in newest]
    assert starts == list(range(starts[0], starts[0] + count * MINUTE_NS, MINUTE_NS))
    later = await history.candles(symbol, "1m", starts[0] + 1, count - 2)
    assert [candle.open_time_ns for candle in later] == starts[1:-1]
    assert later[0] == newest[1]
    with pytest.raises(BadRequest):
        await history.candles(symbol, unknown_interval, 0, 1)


async def check_book_errors(
    history: VenueHistory, raw: RawClient, symbol: str, unlisted: str, path: str
) -> None:
    """The errors of a book request are typed, and the request after them succeeds. ``path`` is a
    part of the address of books."""
    with pytest.raises(UnknownInstrument):
        await history.book(unlisted)
    for fault, error in FAULTS.items():
        await raw.order(fault=fault, path=path)
        with pytest.raises(error):
            await history.book(symbol)
    assert (await history.book(symbol)).bids.count[0]
