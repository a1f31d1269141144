"""Reads the trades that the recorder has stored."""

import numpy as np

from core.bars.bar_arithmetic import INT64_MAX, Exact, TradeArrays
from kit.base.database import Database
from kit.marketdata.model.columns import Scale

FETCHED_ROWS = 4096
"""Rows fetched at a time, so that nothing else waits for long."""

_OF = (
    " FROM trade_rows WHERE instrument_id ="
    " (SELECT instrument_id FROM instruments WHERE venue = %s AND symbol = %s)"
    " AND venue_time_ns >= %s AND venue_time_ns < %s"
)
_SCALES = f"SELECT coalesce(max(scale(price)), 0), coalesce(max(scale(size)), 0){_OF}"
_SELECT = (
    "SELECT venue_time_ns, coalesce(trade_id, 0), trunc(price * %s)::text, trunc(size * %s)::text,"
    f" side::int, received_time_ns, coalesce(trade_id_text, ''){_OF}"
)


async def read_recorded_trades(
    database: Database, venue_id: str, symbol: str, start_ns: int, stop_ns: int, scale: Scale
) -> tuple[TradeArrays | None, Scale]:
    """The trades of a span in no particular order, or None without any, and their scale, which is
    at least ``scale``. Raises StoreUnavailable."""
    of = [venue_id, symbol, start_ns, stop_ns]
    rows: list[tuple[int, int, str, str, int, int, str]] = []
    async with database.transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        scales = await (await connection.execute(_SCALES, of)).fetchone()
        price, size = scales or (0, 0)
        scale = Scale(max(scale.price, price), max(scale.size, size))
        async with connection.cursor("recorded_trades") as cursor:
            await cursor.execute(_SELECT, [10**scale.price, 10**scale.size, *of])
            while found := await cursor.fetchmany(FETCHED_ROWS):
                rows += found
    if not rows:
        return None, scale
    times, ids, prices, sizes, sides, received, texts = zip(*rows, strict=True)
    trades = TradeArrays(
        np.array(times),
        np.array(ids),
        _exact(list(map(int, prices))),
        _exact(list(map(int, sizes))),
        np.array(sides),
        np.array(received),
        np.array(texts, dtype=object) if any(texts) else None,
    )
    return trades, scale


def _exact(numbers: list[int]) -> Exact:
    fits = max(map(abs, numbers)) <= INT64_MAX
    return np.array(numbers, dtype=np.int64 if fits else object)
