"""Market data of an instrument, of the strategy's or of another one, on any venue.

A value is the newest one that had been received at the end of the strategy's bar; it is not known
while it is older than ``market_inputs`` allows. Bars of another instrument have the strategy's
interval, and count from their end on.
"""

import re
from dataclasses import dataclass

from kit.features.expression import Expression
from kit.features.indicators import log_return, sum_over

INSTRUMENT = re.compile(r"[a-z0-9_:]+/\S+")
LEVELS_MAX = 50
BASIS_POINTS = 10_000.0


@dataclass(frozen=True, slots=True)
class Market:
    """The values of one instrument, as expressions.

    ``instrument`` is "venue/symbol"; empty is the instrument that the strategy runs on.
    """

    instrument: str = ""

    def __post_init__(self) -> None:
        if self.instrument and not INSTRUMENT.fullmatch(self.instrument):
            allowed = 'venue id, "/" and native symbol, as binance/BTCUSDT'
            raise ValueError(f"instrument is {self.instrument!r}; allowed: {allowed}")

    def _value(self, name: str, *parameters: float) -> Expression:
        return Expression(name, parameters, source=self.instrument)

    @property
    def open_price(self) -> Expression:
        return self._value("open")

    @property
    def high(self) -> Expression:
        return self._value("high")

    @property
    def low(self) -> Expression:
        return self._value("low")

    @property
    def close(self) -> Expression:
        return self._value("close")

    @property
    def volume(self) -> Expression:
        return self._value("volume")

    @property
    def buy_volume(self) -> Expression:
        """Volume in which the taker bought."""
        return self._value("buy_volume")

    @property
    def quote_volume(self) -> Expression:
        return self._value("quote_volume")

    @property
    def trade_count(self) -> Expression:
        return self._value("trade_count")

    # Trades.

    @property
    def delta(self) -> Expression:
        """Volume in which the taker bought minus that in which it sold."""
        return 2 * self.buy_volume - self.volume

    def flow(self, bars: int = 1) -> Expression:
        """``delta`` of the last bars as a share of their volume: -1 to 1."""
        if bars == 1:
            return self.delta / self.volume
        return sum_over(bars, self.delta) / sum_over(bars, self.volume)

    @property
    def trade_size(self) -> Expression:
        """Mean size of the trades of the bar."""
        return self.volume / self.trade_count

    @property
    def largest_trade(self) -> Expression:
        """Size of the largest trade of the bar, negative if the taker sold."""
        return self._value("largest_trade")

    def large_trade(self, bars: int, times: float) -> Expression:
        """1 if the taker of the largest trade bought, -1 if it sold, and the trade is so many times
        larger than the mean size of the trades of the last bars; otherwise 0."""
        sizes = sum_over(bars, self.volume) / sum_over(bars, self.trade_count)
        is_bought, is_sold = (
            self.largest_trade > times * sizes,
            self.largest_trade < -1 * times * sizes,
        )
        return 1.0 * is_bought - 1.0 * is_sold

    @property
    def swept_prices(self) -> Expression:
        """Most prices at which one taker traded at once in the bar, negative if it sold."""
        return self._value("swept_prices")

    # The book.

    @property
    def bid_price(self) -> Expression:
        return self._value("bid_price")

    @property
    def bid_size(self) -> Expression:
        return self._value("bid_size")

    @property
    def ask_price(self) -> Expression:
        return self._value("ask_price")

    @property
    def ask_size(self) -> Expression:
        return self._value("ask_size")

    @property
    def mid_price(self) -> Expression:
        return (self.bid_price + self.ask_price) / 2

    @property
    def microprice(self) -> Expression:
        """Best prices, each weighted with the size on the other side."""
        crossed = self.bid_price * self.ask_size + self.ask_price * self.bid_size
        return crossed / (self.bid_size + self.ask_size)

    @property
    def spread_bps(self) -> Expression:
        """Ask minus bid, in hundredths of a per cent of the price between them."""
        return BASIS_POINTS * (self.ask_price - self.bid_price) / self.mid_price

    @property
    def quote_imbalance(self) -> Expression:
        """Best bid size minus best ask size, as a share of both: -1 to 1."""
        return (self.bid_size - self.ask_size) / (self.bid_size + self.ask_size)

    def bid_depth(self, levels: int) -> Expression:
        """Sum of the sizes of the best bids."""
        return self._value("bid_depth", _levels(levels))

    def ask_depth(self, levels: int) -> Expression:
        """Sum of the sizes of the best asks."""
        return self._value("ask_depth", _levels(levels))

    def book_imbalance(self, levels: int) -> Expression:
        """Size of the best bids minus that of the best asks, as a share of both: -1 to 1."""
        bids, asks = self.bid_depth(levels), self.ask_depth(levels)
        return (bids - asks) / (bids + asks)

    # Derivatives.

    @property
    def mark_price(self) -> Expression:
        return self._value("mark_price")

    @property
    def index_price(self) -> Expression:
        return self._value("index_price")

    @property
    def funding_rate(self) -> Expression:
        """Of the next funding: the part of a position that the long side pays to the short one."""
        return self._value("funding_rate")

    @property
    def funding_time_s(self) -> Expression:
        """Time of the next funding, seconds since the Unix epoch."""
        return self._value("funding_time_s")

    @property
    def basis_bps(self) -> Expression:
        """Mark price over index price, in hundredths of a per cent."""
        return BASIS_POINTS * (self.mark_price / self.index_price - 1)


def price_gap_bps(first: Expression, second: Expression) -> Expression:
    """How far the first price is above the second one, in hundredths of a per cent."""
    return BASIS_POINTS * (first / second - 1)


def lead(bars: int, leader: Expression, follower: Expression) -> Expression:
    """Log return of the leader over the last bars that the follower has not made."""
    return sum_over(bars, log_return(leader)) - sum_over(bars, log_return(follower))


def _levels(count: int) -> float:
    if not 1 <= count <= LEVELS_MAX:
        raise ValueError(f"{count} levels of the book; allowed are 1 to {LEVELS_MAX}")
    return float(count)


own = Market()
"""The instrument that the strategy runs on."""
buy_volume, delta, trade_size = own.buy_volume, own.delta, own.trade_size
largest_trade, swept_prices = own.largest_trade, own.swept_prices
bid_price, bid_size, ask_price, ask_size = own.bid_price, own.bid_size, own.ask_price, own.ask_size
mid_price, microprice, spread_bps = own.mid_price, own.microprice, own.spread_bps
quote_imbalance, book_imbalance = own.quote_imbalance, own.book_imbalance
mark_price, index_price, basis_bps = own.mark_price, own.index_price, own.basis_bps
funding_rate, funding_time_s = own.funding_rate, own.funding_time_s
flow, large_trade, bid_depth, ask_depth = (
    own.flow,
    own.large_trade,
    own.bid_depth,
    own.ask_depth,
)
