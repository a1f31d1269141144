"""Answers instruments, books, trades and candles from the record, up to the played time."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.playback.tape import Play
from kit.base.database import Database
from kit.base.errors import BadRequest, UnknownInstrument
from kit.marketdata.book.levels import Levels
from kit.marketdata.model.columns import Scale
from kit.storage.archive.archive import Archive
from kit.storage.archive.book_events import BookEvents
from kit.storage.archive.gaps_and_listings import InstrumentTerms

SECONDS = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "12h": 43_200,
    "1d": 86_400,
    "1w": 604_800,
}

CANDLE_NUMBERS = ("open", "high", "low", "close", "volume")

_TRADES = """
SELECT coalesce(trade_id::text, trade_id_text), price, size, side, venue_time_ns
FROM trade_rows JOIN instruments USING (instrument_id)
WHERE venue = %(venue)s AND symbol = %(symbol)s AND venue_time_ns < %(until_ns)s
    AND venue_time_ns >= %(start_ns)s AND (%(first_id)s = 0 OR trade_id >= %(first_id)s)
ORDER BY {order} LIMIT %(count)s
"""

# The venue's own candles where they were recorded, otherwise the bars that were made of its trades.
_CANDLES = """
SELECT open_time_ns, open, high, low, close, volume
FROM candle_rows JOIN instruments USING (instrument_id)
WHERE venue = %(venue)s AND symbol = %(symbol)s AND interval_s = %(seconds)s
    AND open_time_ns >= %(start_ns)s AND open_time_ns < %(until_ns)s
ORDER BY open_time_ns LIMIT %(count)s
"""
_BARS = """
SELECT open_time_ns, open, high, low, close, volume FROM bars
WHERE venue = %(venue)s AND symbol = %(symbol)s AND interval = %(interval)s AND final
    AND open_time_ns >= %(start_ns)s AND open_time_ns < %(until_ns)s
ORDER BY open_time_ns LIMIT %(count)s
"""


class RecordedBook(NamedTuple):
    """A recorded book at one time."""

    scale: Scale
    book_epoch: int
    last_sequence: int
    venue_time_ns: int
    bids: Levels
    asks: Levels


class PastRecord:
    """The record of one play. Methods raise StoreUnavailable."""

    def __init__(
        self,
        archive: Archive,
        database: Database,
        play: Play,
        symbols: Iterable[str],
        terms: Sequence[InstrumentTerms],
    ) -> None:
        self._archive = archive
        self._database = database
        self._play = play
        self.symbols = frozenset(symbols)
        self._terms: dict[str, list[InstrumentTerms]] = {}
        for term in terms:
            self._terms.setdefault(term.definition.symbol, []).append(term)

    def require(self, symbol: str) -> None:
        """Raises UnknownInstrument for a symbol that is not played."""
        if symbol not in self.symbols:
            venue = self._play.venue
            message = f"{symbol!r} of {venue} is not played"
            raise UnknownInstrument(message, venue=venue, symbol=symbol)

    def instruments(self, time_ns: int) -> list[types_pb2.Instrument]:
        """Return the instruments listed at a time, by symbol; without recorded terms only names."""
        found = {symbol: self._named(symbol) for symbol in self.symbols}
        for symbol in self._terms:
            definition = self._definition(symbol, time_ns)
            if definition is not None:
                found[symbol] = definition
        return [found[symbol] for symbol in sorted(found)]

    def instrument(self, symbol: str, time_ns: int) -> types_pb2.Instrument | None:
        """Return one instrument, or None if it was not listed at that time."""
        if symbol in self._terms or symbol not in self.symbols:
            return self._definition(symbol, time_ns)
        return self._named(symbol)

    async def book(self, symbol: str, time_ns: int) -> RecordedBook | None:
        """Return a book just before a time, or None if none was recorded."""
        found = await self._archive.books_at(self._play.venue, time_ns, [symbol])
        return None if found is None else _book(found)

    async def trades(
        self, symbol: str, first_id: int, start_ns: int, until_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Return trades before ``until_ns``, oldest first."""
        values = self._values(symbol, start_ns, until_ns, count) | {"first_id": first_id}
        order = "trade_id" if first_id else "venue_time_ns, trade_id, trade_id_text"
        return [
            market_data_pb2.Trade(
                trade_id=trade_id,
                price=f"{price.normalize():f}",
                size=f"{size.normalize():f}",
                side=side,
                venue_time_ns=venue_time_ns,
            )
            for trade_id, price, size, side, venue_time_ns in await self._rows(
                _TRADES.format(order=order), values
            )
        ]

    async def candles(
        self, symbol: str, interval: str, start_ns: int, until_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """Return candles before ``until_ns``, oldest first. Raises BadRequest for the interval."""
        if interval not in SECONDS:
            raise BadRequest(
                "no such interval", field="interval", value=interval, allowed=" ".join(SECONDS)
            )
        values = self._values(symbol, start_ns, until_ns, count)
        values |= {"interval": interval, "seconds": SECONDS[interval]}
        rows = await self._rows(_CANDLES, values) or await self._rows(_BARS, values)
        return [
            market_data_pb2.Candle(
                open_time_ns=open_time_ns,
                **{
                    name: f"{value.normalize():f}"
                    for name, value in zip(CANDLE_NUMBERS, numbers, strict=True)
                },
            )
            for open_time_ns, *numbers in rows
        ]

    def _definition(self, symbol: str, time_ns: int) -> types_pb2.Instrument | None:
        moment_ns = max(time_ns, self._play.start_ns)
        for term in reversed(self._terms.get(symbol, ())):
            if term.is_valid_at(moment_ns):
                return term.definition
        return None

    def _named(self, symbol: str) -> types_pb2.Instrument:
        trades = types_pb2.INSTRUMENT_STATUS_TRADING
        return types_pb2.Instrument(venue=self._play.venue, symbol=symbol, status=trades)

    def _values(self, symbol: str, start_ns: int, until_ns: int, count: int) -> dict[str, Any]:
        return {
            "venue": self._play.venue,
            "symbol": symbol,
            "start_ns": start_ns,
            "until_ns": until_ns,
            "count": count,
        }

    async def _rows(self, query: str, values: dict[str, Any]) -> list[Any]:
        async with self._database.transaction() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()


def _book(events: BookEvents) -> RecordedBook:
    updates = events.updates
    bid_count = int(updates.bid_count[0])
    levels = list(zip(updates.price.tolist(), updates.size.tolist(), strict=True))
    return RecordedBook(
        events.instruments[0].scale,
        int(updates.book_epoch[0]),
        int(updates.last_sequence[0]),
        int(updates.venue_time_ns[0]),
        levels[:bid_count],
        levels[bid_count:],
    )
