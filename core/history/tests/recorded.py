"""Rows as the recorder writes them, put into the tables directly."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from venuemesh.common.v1 import types_pb2

from kit.database import Connection, Database
from kit.numbers import format_scaled

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
