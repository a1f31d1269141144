"""Past trades and candles of one instrument, for the calls by which a client looks back. Bounded.

Trades arrive at full speed and are asked for rarely, so they are kept as they came and read later.
"""

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

TRADES_MAX = 100_000
"""Of one instrument. Older ones are forgotten, as an exchange's own window ends somewhere."""
CANDLES_MAX = 20_000
"""Minutes of one instrument."""
UNREAD_MAX = 20_000
MINUTE_NS = 60_000_000_000
ZERO = Decimal(0)

RawT = TypeVar("RawT")


class TradePrint(msgspec.Struct, frozen=True, gc=False):
    """A past trade. Numbers are decimal text."""

    trade_id: int
    price: str
    size: str
    time_ns: int
    taker_buys: bool


class Candle(msgspec.Struct, gc=False):
    """What was traded in one interval."""

    start_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_buy_volume: Decimal = ZERO
    taker_buy_quote_volume: Decimal = ZERO
    trade_count: int = 0
    first_trade_id: int = -1
    last_trade_id: int = -1

    def add(self, trade: TradePrint) -> None:
        """Count one more trade, in any order."""
        price, size = Decimal(trade.price), Decimal(trade.size)
        value = price * size
        if self.trade_count == 0 or trade.trade_id < self.first_trade_id:
            self.open, self.first_trade_id = price, trade.trade_id
        if trade.trade_id > self.last_trade_id:
            self.close, self.last_trade_id = price, trade.trade_id
        self.high, self.low = max(self.high, price), min(self.low, price)
        self.volume += size
        self.quote_volume += value
        self.trade_count += 1
        if trade.taker_buys:
            self.taker_buy_volume += size
            self.taker_buy_quote_volume += value

    def join(self, later: "Candle") -> None:
        """Take in the candle that follows."""
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume += later.volume
        self.quote_volume += later.quote_volume
        self.taker_buy_volume += later.taker_buy_volume
        self.taker_buy_quote_volume += later.taker_buy_quote_volume
        self.trade_count += later.trade_count
        if self.first_trade_id < 0:
            self.first_trade_id = later.first_trade_id
        self.last_trade_id = max(self.last_trade_id, later.last_trade_id)


class TradeHistory(Generic[RawT]):
    """Trades by id, each once, and their minutes."""

    def __init__(
        self, read: Callable[[RawT], Iterable[TradePrint]], trades_max: int = TRADES_MAX
    ) -> None:
        """``read`` makes trades of what ``note`` was given."""
        self._read = read
        self._trades_max = trades_max
        self._unread: list[RawT] = []
        self._ids: list[int] = []
        self._trades: dict[int, TradePrint] = {}
        self._minutes: dict[int, Candle] = {}
        self._minute_starts: list[int] = []

    def note(self, raw: RawT) -> None:
        """Trades happened; in any order, also such that are known."""
        self._unread.append(raw)
        if len(self._unread) >= UNREAD_MAX:
            self._catch_up()

    def note_minutes(self, minutes: Sequence[Candle]) -> None:
        """Candles from before the first trade, oldest first."""
        self._minutes.update({minute.start_ns: minute for minute in minutes})
        self._minute_starts = sorted(self._minutes)

    def latest(self, count: int) -> Sequence[TradePrint]:
        """The newest, oldest of them first."""
        self._catch_up()
        return [self._trades[trade_id] for trade_id in self._ids[-count:]]

    def from_id(self, trade_id: int, count: int) -> Sequence[TradePrint]:
        """The trades from this id on, oldest first."""
        self._catch_up()
        start = bisect.bisect_left(self._ids, trade_id)
        return [self._trades[kept] for kept in self._ids[start : start + count]]

    def between(self, start_ns: int, end_ns: int, count: int) -> Sequence[TradePrint]:
        """The trades of a time, both ends included, by id; the oldest if there are more."""
        self._catch_up()
        found: list[TradePrint] = []
        for trade_id in self._ids:
            if start_ns <= self._trades[trade_id].time_ns <= end_ns and len(found) < count:
                found.append(self._trades[trade_id])
        return found

    def candles(
        self, start_of: Callable[[int], int], start_ns: int, end_ns: int
    ) -> Sequence[Candle]:
        """Candles that start between two times, both included, oldest first.

        ``start_of`` gives for a time the start of its interval. Intervals shorter than a minute are
        made of the trades that are kept, longer ones of the minutes.
        """
        self._catch_up()
        whole_minutes = start_of(MINUTE_NS - 1) == start_of(0)
        parts = self._minutes_from(start_ns) if whole_minutes else self._instants()
        made: dict[int, Candle] = {}
        for part in parts:
            start = start_of(part.start_ns)
            if start > end_ns:
                break
            if start in made:
                made[start].join(part)
            elif start >= start_ns:
                made[start] = msgspec.structs.replace(part, start_ns=start)
        return [made[start] for start in sorted(made)]

    def _minutes_from(self, start_ns: int) -> Iterator[Candle]:
        first = bisect.bisect_left(self._minute_starts, start_ns)
        return (self._minutes[start] for start in self._minute_starts[first:])

    def _instants(self) -> Iterator[Candle]:
        trades = (self._trades[trade_id] for trade_id in self._ids)
        return (_candle_of(trade, trade.time_ns) for trade in trades)

    def _catch_up(self) -> None:
        unread, self._unread = self._unread, []
        for raw in unread:
            for trade in self._read(raw):
                if trade.trade_id not in self._trades:
                    self._keep(trade)
        if len(self._ids) > self._trades_max + UNREAD_MAX:
            for trade_id in self._ids[: -self._trades_max]:
                del self._trades[trade_id]
            del self._ids[: -self._trades_max]
        for start in self._minute_starts[:-CANDLES_MAX]:
            del self._minutes[start]
        del self._minute_starts[:-CANDLES_MAX]

    def _keep(self, trade: TradePrint) -> None:
        self._trades[trade.trade_id] = trade
        if not self._ids or trade.trade_id > self._ids[-1]:
            self._ids.append(trade.trade_id)
        else:
            bisect.insort(self._ids, trade.trade_id)
        start = trade.time_ns - trade.time_ns % MINUTE_NS
        minute = self._minutes.get(start)
        if minute is None:
            self._minutes[start] = _candle_of(trade, start)
            bisect.insort(self._minute_starts, start)
        else:
            minute.add(trade)


def _candle_of(trade: TradePrint, start_ns: int) -> Candle:
    price = Decimal(trade.price)
    candle = Candle(start_ns, price, price, price, price)
    candle.add(trade)
    return candle
