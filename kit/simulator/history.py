"""Past trades of one instrument, for the calls by which a client repairs a hole. Bounded."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

TRADES_MAX = 100_000
"""Of one instrument. Older ones are forgotten, as an exchange's own window ends somewhere."""


@dataclass(frozen=True, slots=True)
class TradePrint:
    """A past trade. Numbers are decimal text, as on the wire."""

    trade_id: int
    price: str
    size: str
    time_ns: int
    taker_buys: bool


class TradeHistory:
    """Trades by id, each once."""

    def __init__(self, trades_max: int = TRADES_MAX) -> None:
        self._trades_max = trades_max
        self._ids: list[int] = []
        self._trades: dict[int, TradePrint] = {}

    def add(self, trade: TradePrint) -> None:
        """Keep a trade; in any order, a known id is ignored."""
        if trade.trade_id in self._trades:
            return
        self._trades[trade.trade_id] = trade
        if not self._ids or trade.trade_id > self._ids[-1]:
            self._ids.append(trade.trade_id)
        else:
            bisect.insort(self._ids, trade.trade_id)
        if len(self._ids) >= 2 * self._trades_max:
            self._forget()

    def latest(self, count: int) -> Sequence[TradePrint]:
        """The newest, oldest of them first."""
        return [self._trades[trade_id] for trade_id in self._ids[-count:]]

    def from_id(self, trade_id: int, count: int) -> Sequence[TradePrint]:
        """The trades from this id on, oldest first."""
        start = bisect.bisect_left(self._ids, trade_id)
        return [self._trades[kept] for kept in self._ids[start : start + count]]

    def between(self, start_ns: int, end_ns: int) -> Sequence[TradePrint]:
        """The trades of a time, both ends included, by id."""
        found = (self._trades[trade_id] for trade_id in self._ids)
        return [trade for trade in found if start_ns <= trade.time_ns <= end_ns]

    def _forget(self) -> None:
        for trade_id in self._ids[: -self._trades_max]:
            del self._trades[trade_id]
        del self._ids[: -self._trades_max]
