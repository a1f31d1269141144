"""What both of Coinbase's REST APIs share: answers, refusals, and reading what was asked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.simulator.dialect import MarketView, RestRequest, RestResponse
from kit.simulator.history import TradeHistory
from kit.simulator.listing import Listing
from kit.simulator.texts import whole

TIME_END_S = 2**33
NAMES: Mapping[str, str] = {
    "USD": "US Dollar",
    "EUR": "Euro",
    "GBP": "British Pound",
    "BTC": "Bitcoin",
    "ETH": "Ethereum",
    "SOL": "Solana",
    "XRP": "XRP",
    "DOGE": "Dogecoin",
}
FIAT = ("USD", "EUR", "GBP")


class CoinbaseApiError(Exception):
    """The exchange does not do what it was asked."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status)
        self.answer = as_json(body, status=status)


def as_json(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> RestResponse:
    """As JSON."""
    return RestResponse(msgspec.json.encode(value), status=status, headers=headers or {})


def listing_of(product: str, market_view: MarketView) -> Listing | None:
    """A product, if it is listed."""
    return next((one for one in market_view.listings() if one.symbol == product), None)


def currencies(market_view: MarketView) -> list[str]:
    """Of all that is listed."""
    return sorted({name for one in market_view.listings() for name in (one.base, one.quote)})


def last_price(history: TradeHistory[Any]) -> str:
    """Of the newest trade; "" before the first."""
    newest = history.latest(1)
    return newest[0].price if newest else ""


def whole_number(request: RestRequest, name: str, usual: int) -> int | None:
    """A number that was asked for, or the usual one; None: it is no number."""
    return whole(request.query.get(name, str(usual)))


def time_s(request: RestRequest, name: str, usual: int) -> int | None:
    """A time in seconds since the Unix epoch, or RFC 3339; None: it is neither."""
    text = request.query.get(name, str(usual))
    seconds = whole(text)
    if seconds is not None:
        return seconds
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def ns(seconds: int) -> int:
    """Seconds as ns."""
    return seconds * NANOSECONDS_PER_SECOND
