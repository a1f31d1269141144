"""Rows as the recorder writes them, put into the tables directly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.base.database import Connection, Database
from kit.base.numbers import format_scaled

VENUE = "binance"
SYMBOL = "BTCUSDT"
START_NS = 1_723_100_000_000_000_000
RECEIVED_AFTER_NS = 5_000_000


class Instrument(NamedTuple):
    """What is recorded, and with how many decimal places."""

    symbol: str
    price_scale: int = 2
    size_scale: int = 5


BTC = Instrument(SYMBOL)
ETH = Instrument("ETHUSDT", 4, 8)


@dataclass(frozen=True)
class Trade:
    """One trade, in scaled numbers."""

    trade_id: int | str
    instrument: Instrument = BTC
    price: int = 6_183_763
    size: int = 12_345
    side: int = types_pb2.SIDE_BUY
    venue_time_ns: int = START_NS


@dataclass(frozen=True)
class Quote:
    """A quote of BTCUSDT."""

    received_time_ns: int
    price: int = 100
    sequence: int = 0


@dataclass(frozen=True)
class Bar:
    """A bar of BTCUSDT."""

    interval: str
    open_time_ns: int
    number: int = 0
    revision: int = 0
    close: str = "1.70"
    written_time_ns: int = 0
    superseded_time_ns: int = 0
    """0: it is the one that stands."""


@dataclass(frozen=True)
class Candle:
    """A candle of the venue, of BTCUSDT."""

    open_time_ns: int
    interval_s: int = 60
    volume: str = "10.0"
    closed: bool = True


async def instrument_id(connection: Connection, symbol: str = SYMBOL, venue: str = VENUE) -> int:
    """The number of an instrument, which is made when there is none."""
    await connection.execute(
        "INSERT INTO instruments (venue, symbol) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        [venue, symbol],
    )
    found = await connection.execute(
        "SELECT instrument_id FROM instruments WHERE venue = %s AND symbol = %s", [venue, symbol]
    )
    row = await found.fetchone()
    assert row is not None
    number: int = row[0]
    return number


async def record_trades(database: Database, trades: Iterable[Trade]) -> None:
    """These trades, each received five milliseconds after its time."""
    async with database.transaction() as connection:
        for trade in trades:
            price = format_scaled(trade.price, trade.instrument.price_scale)
            size = format_scaled(trade.size, trade.instrument.size_scale)
            is_number = isinstance(trade.trade_id, int)
            await connection.execute(
                "INSERT INTO trade_rows (instrument_id, side, venue_time_ns, received_time_ns,"
                " trade_id, price, size, trade_id_text) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    await instrument_id(connection, trade.instrument.symbol),
                    trade.side,
                    trade.venue_time_ns,
                    trade.venue_time_ns + RECEIVED_AFTER_NS,
                    trade.trade_id if is_number else None,
                    price,
                    size,
                    None if is_number else trade.trade_id,
                ],
            )


async def record_gaps(
    database: Database,
    gaps: Sequence[types_pb2.Gap],
    channel: int = types_pb2.CHANNEL_TRADES,
    cursor: tuple[int, int] = (1, 1),
) -> None:
    """These gaps, with one batch."""
    async with database.transaction() as connection:
        for ordinal, gap in enumerate(gaps):
            await connection.execute(
                "INSERT INTO gap_rows (venue, channel, epoch, sequence, ordinal, symbol, reason,"
                " last_id_before, first_id_after, last_time_ns, first_time_ns, detected_time_ns,"
                " detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    *(VENUE, channel, *cursor, ordinal, gap.symbol or None, gap.reason),
                    *(gap.last_id_before, gap.first_id_after, gap.last_time_ns),
                    *(gap.first_time_ns, gap.detected_time_ns, gap.detail),
                ],
            )


async def record_quotes(database: Database, quotes: Iterable[Quote]) -> None:
    """These quotes."""
    async with database.transaction() as connection:
        number = await instrument_id(connection)
        for quote in quotes:
            await connection.execute(
                "INSERT INTO quote_rows (instrument_id, received_time_ns, venue_time_ns, sequence,"
                " bid_price, bid_size, ask_price, ask_size)"
                " VALUES (%s, %s, %s, %s, %s, 1.500, %s, 2)",
                [
                    *(number, quote.received_time_ns, quote.received_time_ns - 3, quote.sequence),
                    *(quote.price, quote.price + 1),
                ],
            )


async def record_bars(database: Database, bars: Iterable[Bar]) -> None:
    """These bars, or revisions of bars that were superseded."""
    names = (
        "venue, symbol, interval, open_time_ns, number, open, high, low, close, volume, buy_volume,"
        " quote_volume, trade_count, covered_ns, revision, final, first_time_ns, first_trade_id,"
        " last_time_ns, last_trade_id, close_time_ns, written_time_ns"
    )
    async with database.transaction() as connection:
        for bar in bars:
            values = [
                *(VENUE, SYMBOL, bar.interval, bar.open_time_ns, bar.number, "1.500", 2, 1),
                *(bar.close, 10, 4, "15.10", 3, 60, bar.revision, True, 0, 0, 0, 0),
                *(bar.open_time_ns + 60, bar.written_time_ns),
            ]
            table, columns = "bars", names
            if bar.superseded_time_ns:
                table, columns = "bar_revisions", f"{names}, superseded_time_ns"
                values.append(bar.superseded_time_ns)
            places = ", ".join(["%s"] * len(values))
            await connection.execute(
                f"INSERT INTO {table} ({columns}) VALUES ({places})".encode(), values
            )


async def record_candles(database: Database, candles: Iterable[Candle]) -> None:
    """These candles."""
    async with database.transaction() as connection:
        number = await instrument_id(connection)
        for candle in candles:
            await connection.execute(
                "INSERT INTO candle_rows (instrument_id, open_time_ns, interval_s, volume, closed,"
                " open, high, low, close, venue_time_ns, received_time_ns)"
                " VALUES (%s, %s, %s, %s, %s, 1.50, 2, 1, 1.7, 0, 0)",
                [number, *vars(candle).values()],
            )


async def record_scores(database: Database, scores: Iterable[tuple[int, str]]) -> None:
    """Scores by time of computing and symbol."""
    async with database.transaction() as connection:
        for time_ns, symbol in scores:
            await connection.execute(
                "INSERT INTO quality_rows (venue, symbol, computed_time_ns, window_start_ns,"
                " window_end_ns, score, coverage, freshness, agreement, open_hole_count)"
                " VALUES (%s, %s, %s, %s, %s, 0.5, 0.5, 1, 1, 3)",
                [VENUE, symbol, time_ns, time_ns - 10, time_ns],
            )
