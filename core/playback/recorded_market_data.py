"""Answers instruments, books, trades and candles from the record, up to the played time."""

from typing import Any

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.playback.publisher import PlaybackPublisher
from core.playback.record_windows import PlaybackContent
from kit.base.database import Database
from kit.base.errors import BadRequest, UnknownInstrument
from kit.storage.archive.archive import Archive
from kit.storage.archive.book_events import BookEvents
from kit.storage.archive.gaps_and_listings import RecordedInstrumentTerms

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


class RecordedMarketData:
    """The record of one playback up to the played time: its instruments, its books, and the
    ``TradesAndCandles`` of its venue. Methods raise StoreUnavailable."""

    def __init__(
        self,
        archive: Archive,
        database: Database,
        content: PlaybackContent,
        player: PlaybackPublisher,
    ) -> None:
        self._archive = archive
        self._database = database
        self._selection = content.selection
        self._player = player
        self._symbols = frozenset(content.symbols)
        self._terms: dict[str, list[RecordedInstrumentTerms]] = {}
        for term in content.terms:
            self._terms.setdefault(term.definition.symbol, []).append(term)

    def require(self, symbol: str) -> None:
        """Raises UnknownInstrument for a symbol that is not played."""
        if symbol not in self._symbols:
            venue = self._selection.venue
            message = f"{symbol!r} of {venue} is not played"
            raise UnknownInstrument(message, venue=venue, symbol=symbol)

    async def instruments(self) -> dict[str, types_pb2.Instrument]:
        """Return the listed instruments by symbol; without recorded terms only names."""
        found = {symbol: self._named(symbol) for symbol in self._symbols}
        for symbol in self._terms:
            definition = self._definition(symbol)
            if definition is not None:
                found[symbol] = definition
        return {symbol: found[symbol] for symbol in sorted(found)}

    def instrument(self, symbol: str) -> types_pb2.Instrument | None:
        """Return one instrument, or None if it is not listed."""
        if symbol in self._terms or symbol not in self._symbols:
            return self._definition(symbol)
        return self._named(symbol)

    async def book(self, symbol: str) -> BookEvents | None:
        """Return a book as one update, or None if none was recorded."""
        return await self._archive.books_at(
            self._selection.venue, self._player.played_until_ns, [symbol]
        )

    async def trades(
        self, symbol: str, first_trade_id: int, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Trade]:
        """Return trades from an id on, or from a time on if the id is 0, oldest first."""
        values = self._values(symbol, 0 if first_trade_id else start_time_ns, count)
        values["first_id"] = first_trade_id
        order = "trade_id" if first_trade_id else "venue_time_ns, trade_id, trade_id_text"
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
        self, symbol: str, interval: str, start_time_ns: int, count: int
    ) -> list[market_data_pb2.Candle]:
        """Return candles from a time on, oldest first. Raises BadRequest for the interval."""
        if interval not in SECONDS:
            raise BadRequest(
                "no such interval", field="interval", value=interval, allowed=" ".join(SECONDS)
            )
        values = self._values(symbol, start_time_ns, count)
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

    def _definition(self, symbol: str) -> types_pb2.Instrument | None:
        moment_ns = max(self._player.played_until_ns, self._selection.start_ns)
        for term in reversed(self._terms.get(symbol, ())):
            if term.is_valid_at(moment_ns):
                return term.definition
        return None

    def _named(self, symbol: str) -> types_pb2.Instrument:
        trades = types_pb2.INSTRUMENT_STATUS_TRADING
        return types_pb2.Instrument(venue=self._selection.venue, symbol=symbol, status=trades)

    def _values(self, symbol: str, start_ns: int, count: int) -> dict[str, Any]:
        return {
            "venue": self._selection.venue,
            "symbol": symbol,
            "start_ns": start_ns,
            "until_ns": self._player.played_until_ns,
            "count": count,
        }

    async def _rows(self, query: str, values: dict[str, Any]) -> list[Any]:
        async with self._database.transaction() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()
