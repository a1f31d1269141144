"""Past trades and candles of one instrument, for REST calls and candles. Bounded.

Trades arrive at full speed and are read rarely, so they are kept as they came and parsed later.
"""

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Generic, TypeVar, overload

import msgspec

TRADES_MAX = 100_000
"""For one instrument. Older ones are forgotten."""
CANDLES_MAX = 20_000
"""For one instrument, in minutes."""
UNREAD_MAX = 20_000
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
ZERO = Decimal(0)

RawT = TypeVar("RawT")
StartOf = Callable[[int], int]
"""Returns the start of the interval of a time."""
PastSource = Callable[[StartOf, int, int], Sequence["Candle"]]
"""Candles of an interval that start between two times, made of the minutes before the second."""


class HistoricalTrade(msgspec.Struct, frozen=True, gc=False):
    """A past trade. Numbers are decimal text."""

    trade_id: int
    price: str
    size: str
    time_ns: int
    taker_buys: bool


class Candle(msgspec.Struct, gc=False):
    """The trades of one interval."""

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

    def add(self, trade: HistoricalTrade) -> None:
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

    def including(self, price: Decimal) -> "Candle":
        """The candle with a price that was traded since."""
        high, low = max(self.high, price), min(self.low, price)
        return msgspec.structs.replace(self, high=high, low=low)

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


class InstrumentTradeHistory(Generic[RawT]):
    """Trades by id, each once, and their minutes."""

    def __init__(
        self,
        read: Callable[[Sequence[RawT]], Iterable[HistoricalTrade]],
        trades_max: int = TRADES_MAX,
    ) -> None:
        """``read`` returns the trades in the values that ``note`` was given."""
        self._read = read
        self._trades_max = trades_max
        self._unread_max = min(UNREAD_MAX, trades_max)
        self.past: PastSource | None = None
        """Computes candles from before the oldest minute that is kept."""
        self._minute_sources: list[Callable[[], Sequence[Candle]]] = []
        self._unread: list[RawT] = []
        self._ids: list[int] = []
        self._trades: dict[int, HistoricalTrade] = {}
        self._minutes: dict[int, Candle] = {}
        self._minute_starts: list[int] = []
        self._hours: dict[int, Candle] = {}
        """Joined minutes; made when needed, forgotten when one of them changes."""

    def note(self, raw: RawT) -> None:
        """Add trades, in any order; known ones are ignored."""
        self._unread.append(raw)
        if len(self._unread) >= self._unread_max:
            self._catch_up()

    def note_minutes(self, source: Callable[[], Sequence[Candle]]) -> None:
        """Add a source of minutes without trades. It is called when they are needed; minutes with
        trades win."""
        self._minute_sources.append(source)

    def latest(self, count: int) -> Sequence[HistoricalTrade]:
        """The newest, oldest of them first."""
        self._catch_up()
        return [self._trades[trade_id] for trade_id in self._ids[-count:]]

    def from_id(self, trade_id: int, count: int) -> Sequence[HistoricalTrade]:
        """The trades from this id on, oldest first."""
        self._catch_up()
        start = bisect.bisect_left(self._ids, trade_id)
        return [self._trades[kept] for kept in self._ids[start : start + count]]

    def between(self, start_ns: int, end_ns: int, count: int) -> Sequence[HistoricalTrade]:
        """The trades between two times, both included, by id; the oldest if there are more."""
        self._catch_up()
        found: list[HistoricalTrade] = []
        for trade_id in self._ids:
            if start_ns <= self._trades[trade_id].time_ns <= end_ns and len(found) < count:
                found.append(self._trades[trade_id])
        return found

    def candles(self, start_of: StartOf, start_ns: int, end_ns: int) -> Sequence[Candle]:
        """Candles that start between two times, both included, oldest first.

        Intervals shorter than a minute are made of the trades that are kept, longer ones of the
        minutes, and of the past before them.
        """
        self._catch_up()
        self._read_minutes()
        whole_minutes = start_of(MINUTE_NS - 1) == start_of(0)
        parts = self._parts(start_of, start_ns) if whole_minutes else self._instants()
        made: dict[int, Candle] = {}
        for part in parts:
            start = start_of(part.start_ns)
            if start > end_ns:
                break
            if start in made:
                made[start].join(part)
            elif start >= start_ns:
                made[start] = msgspec.structs.replace(part, start_ns=start)
        kept = [made[start] for start in sorted(made)]
        past = self._past_candles(start_of, start_ns, end_ns) if whole_minutes else ()
        if not past:
            return kept
        if kept and past[-1].start_ns == kept[0].start_ns:
            joint = past[-1]
            joint.join(kept[0])
            return _Joined(past[:-1], [joint, *kept[1:]])
        return _Joined(past, kept)

    def _past_candles(self, start_of: StartOf, start_ns: int, end_ns: int) -> Sequence[Candle]:
        """The candles that start before the oldest minute that is kept."""
        first_kept_ns = self._minute_starts[0] if self._minute_starts else 0
        if self.past is None or start_ns >= first_kept_ns:
            return ()
        until_ns, step_ns = end_ns - end_ns % MINUTE_NS, MINUTE_NS
        while until_ns < first_kept_ns and start_of(until_ns) <= end_ns:
            until_ns += step_ns
            step_ns *= 2
        past = self.past(start_of, start_ns, min(until_ns, first_kept_ns))
        while past and past[-1].start_ns > end_ns:
            past = past[:-1]
        return past

    def _parts(self, start_of: StartOf, start_ns: int) -> Iterator[Candle]:
        """Minutes; the hour in place of the minutes of a whole hour that belong together."""
        starts, at = self._minute_starts, bisect.bisect_left(self._minute_starts, start_ns)
        while at < len(starts):
            hour_ns = starts[at] - starts[at] % HOUR_NS
            begins = at == 0 or starts[at - 1] < hour_ns
            end = bisect.bisect_left(starts, hour_ns + HOUR_NS, at) if begins else at
            if begins and end < len(starts) and start_of(hour_ns) == start_of(starts[end - 1]):
                yield self._hour(hour_ns, starts[at:end])
                at = end
            else:
                yield self._minutes[starts[at]]
                at += 1

    def _hour(self, hour_ns: int, minute_starts: Sequence[int]) -> Candle:
        hour = self._hours.get(hour_ns)
        if hour is None:
            first, *others = (self._minutes[start] for start in minute_starts)
            hour = self._hours[hour_ns] = msgspec.structs.replace(first)
            for minute in others:
                hour.join(minute)
        return hour

    def _read_minutes(self) -> None:
        sources, self._minute_sources = self._minute_sources, []
        for source in sources:
            for minute in source():
                if minute.start_ns not in self._minutes:
                    self._keep_minute(minute)

    def _instants(self) -> Iterator[Candle]:
        trades = (self._trades[trade_id] for trade_id in self._ids)
        return (_candle_of(trade, trade.time_ns) for trade in trades)

    def _catch_up(self) -> None:
        unread, self._unread = self._unread, []
        for trade in self._read(unread) if unread else ():
            if trade.trade_id not in self._trades:
                self._keep(trade)
        if len(self._ids) > self._trades_max + self._unread_max:
            for trade_id in self._ids[: -self._trades_max]:
                del self._trades[trade_id]
            del self._ids[: -self._trades_max]
        for start in self._minute_starts[:-CANDLES_MAX]:
            del self._minutes[start]
            self._hours.pop(start - start % HOUR_NS, None)
        del self._minute_starts[:-CANDLES_MAX]

    def _keep(self, trade: HistoricalTrade) -> None:
        self._trades[trade.trade_id] = trade
        if not self._ids or trade.trade_id > self._ids[-1]:
            self._ids.append(trade.trade_id)
        else:
            bisect.insort(self._ids, trade.trade_id)
        start = trade.time_ns - trade.time_ns % MINUTE_NS
        minute = self._minutes.get(start)
        if minute is None:
            self._keep_minute(_candle_of(trade, start))
        else:
            minute.add(trade)
            self._hours.pop(start - start % HOUR_NS, None)

    def _keep_minute(self, minute: Candle) -> None:
        start = minute.start_ns
        self._minutes[start] = minute
        bisect.insort(self._minute_starts, start)
        self._hours.pop(start - start % HOUR_NS, None)


def _candle_of(trade: HistoricalTrade, start_ns: int) -> Candle:
    price = Decimal(trade.price)
    candle = Candle(start_ns, price, price, price, price)
    candle.add(trade)
    return candle


class _Joined(Sequence[Candle]):
    """Computed candles, and the kept ones that follow them."""

    def __init__(self, past: Sequence[Candle], kept: Sequence[Candle]) -> None:
        self._past = past
        self._kept = kept

    def __len__(self) -> int:
        return len(self._past) + len(self._kept)

    @overload
    def __getitem__(self, index: int) -> Candle: ...
    @overload
    def __getitem__(self, index: slice) -> list[Candle]: ...
    def __getitem__(self, index: int | slice) -> Candle | list[Candle]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        split = len(self._past)
        return self._past[at] if at < split else self._kept[at - split]
