"""Reads the record: trades around a hole, jumps of ids, gaps, bars and venue candles."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from venuemesh.common.v1 import types_pb2

from core.repair.holes import HoleSpan
from core.repair.trade_merge import ExactTrade
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.cursor import StreamKey
from kit.base.database import Connection, Database

SLACK_NS = 60 * NANOSECONDS_PER_SECOND
"""Ids are looked for that much before and after the time of a hole."""
OVERLAP_NS = 2 * NANOSECONDS_PER_SECOND
"""Times of trades in the order of their ids may step back a little."""
SCAN_ROWS_MAX = 200_000
"""Trades of one instrument that are looked at in one step."""
GAPS_MAX = 1_000
"""Of one venue, the newest."""
MINUTE_S = 60
MINUTE_NS = MINUTE_S * NANOSECONDS_PER_SECOND

_TRADE = (
    "coalesce(trade_id_text, trade_id::text), trim_scale(price), trim_scale(size), side,"
    " venue_time_ns"
)
_INSTRUMENTS = (
    "SELECT instrument_id, venue, symbol, text_ids FROM instruments CROSS JOIN LATERAL ("
    " SELECT trade_id_text IS NOT NULL AS text_ids FROM trade_rows"
    " WHERE trade_rows.instrument_id = instruments.instrument_id LIMIT 1) AS newest"
)
_JUMPS = (
    "SELECT before_id, before_ns, trade_id, venue_time_ns FROM ("
    " SELECT trade_id, venue_time_ns, lag(trade_id) OVER ids AS before_id,"
    "  lag(venue_time_ns) OVER ids AS before_ns FROM chunk WINDOW ids AS (ORDER BY trade_id)"
    ") AS pairs WHERE trade_id > before_id + 1"
)
_CHUNK = (
    "CREATE TEMPORARY TABLE chunk ON COMMIT DROP AS"
    " SELECT trade_id, venue_time_ns FROM trade_rows"
    " WHERE instrument_id = %s AND venue_time_ns >= %s AND received_time_ns < %s"
    " AND trade_id IS NOT NULL ORDER BY venue_time_ns, trade_id LIMIT %s"
)
_IDS_WITHIN = (
    "instrument_id = %s AND trade_id BETWEEN %s AND %s AND venue_time_ns BETWEEN %s AND %s"
)


class TradedInstrument(NamedTuple):
    """One that was ever recorded."""

    instrument_id: int
    venue: str
    symbol: str
    text_ids: bool
    """Whether the ids of its trades are recorded as texts."""


class RecordedInstrument(NamedTuple):
    """An instrument with recorded data."""

    instrument_id: int
    venue: str
    symbol: str


class RecordedGap(NamedTuple):
    """A gap in the trades that nobody has closed."""

    epoch: int
    sequence: int
    ordinal: int
    symbol: str
    """Empty: every instrument of the venue."""
    reason: "types_pb2.GapReason.ValueType"
    last_id_before: int
    first_id_after: int
    last_time_ns: int
    first_time_ns: int
    detected_time_ns: int


class MinuteCandle(NamedTuple):
    """A minute, as a bar of ours or as a venue's candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class TradeIdScan:
    """Jumps of ids, and up to which time of trades that is all."""

    jumps: Sequence[HoleSpan]
    scanned_time_ns: int
    is_full: bool
    """Whether there may be more to look at right away."""


class RecordReader:
    """Queries of the recorded data. Methods raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def instruments(self) -> list[TradedInstrument]:
        """All instruments with recorded trades, by venue and symbol."""
        async with self._database.transaction() as connection:
            found = await connection.execute(f"{_INSTRUMENTS} ORDER BY venue, symbol".encode())
            return [TradedInstrument(*row) for row in await found.fetchall()]

    async def listed(self) -> list[RecordedInstrument]:
        """All instruments with recorded data."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT instrument_id, venue, symbol FROM instruments ORDER BY venue, symbol"
            )
            return [RecordedInstrument(*row) for row in await found.fetchall()]

    async def instrument(self, venue: str, symbol: str) -> TradedInstrument | None:
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f"{_INSTRUMENTS} WHERE venue = %s AND symbol = %s".encode(), [venue, symbol]
            )
            row = await found.fetchone()
            return None if row is None else TradedInstrument(*row)

    async def scan(
        self, instrument: TradedInstrument, from_ns: int, received_before_ns: int
    ) -> TradeIdScan:
        """Jumps of ids among trades of this venue time or later."""
        start_ns = max(from_ns - OVERLAP_NS, 0)
        async with self._database.transaction() as connection:
            await connection.execute(
                _CHUNK, [instrument.instrument_id, start_ns, received_before_ns, SCAN_ROWS_MAX]
            )
            found = await connection.execute(
                "SELECT count(*), coalesce(max(venue_time_ns), 0) FROM chunk"
            )
            count, newest_ns = (await found.fetchall())[0]
            rows = await (await connection.execute(_JUMPS)).fetchall()
            spans = [HoleSpan(row[1], row[3], row[0], row[2]) for row in rows]
            # At its end a part of the trades may jump where the whole does not.
            jumps = [span for span in spans if not await _is_whole(connection, instrument, span)]
        return TradeIdScan(jumps, max(from_ns, newest_ns), count == SCAN_ROWS_MAX)

    async def numbered(self, instrument: TradedInstrument, span: HoleSpan) -> list[ExactTrade]:
        """Trades from the one before the hole to the first after it, by id, both included."""
        inside = _within(instrument, span, span.last_id_before, span.first_id_after - 1)
        async with self._database.transaction() as connection:
            inner = await connection.execute(
                f"SELECT {_TRADE} FROM trade_rows WHERE {_IDS_WITHIN}"
                " ORDER BY trade_id LIMIT %s".encode(),
                [*inside, SCAN_ROWS_MAX],
            )
            rows = await inner.fetchall()
            outer = await connection.execute(
                f"SELECT {_TRADE} FROM trade_rows WHERE {_IDS_WITHIN}"
                " ORDER BY trade_id LIMIT 1".encode(),
                _within(instrument, span, span.first_id_after, 2**63 - 1),
            )
            rows += await outer.fetchall()
        return [ExactTrade(*row) for row in rows]

    async def between(
        self, instrument: TradedInstrument, start_ns: int, end_ns: int
    ) -> list[ExactTrade]:
        """Trades of a time, both ends included."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f"SELECT {_TRADE} FROM trade_rows WHERE instrument_id = %s"
                " AND venue_time_ns BETWEEN %s AND %s ORDER BY venue_time_ns LIMIT %s".encode(),
                [instrument.instrument_id, start_ns, end_ns, SCAN_ROWS_MAX],
            )
            return [ExactTrade(*row) for row in await found.fetchall()]

    async def count(self, instrument: TradedInstrument, span: HoleSpan) -> int:
        """Trades that are recorded within a hole; without ids those of its ends are counted too."""
        if span.has_ids:
            condition = _IDS_WITHIN
            values = _within(instrument, span, span.last_id_before + 1, span.first_id_after - 1)
        else:
            condition = "instrument_id = %s AND venue_time_ns BETWEEN %s AND %s"
            values = [instrument.instrument_id, span.start_time_ns, span.end_time_ns]
        async with self._database.transaction() as connection:
            found = await connection.execute(
                f"SELECT count(*) FROM trade_rows WHERE {condition}".encode(), values
            )
            count: int = (await found.fetchall())[0][0]
            return count

    async def gaps(self, venue: str, after_ns: int, before_ns: int) -> list[RecordedGap]:
        """Open gaps of trades that were noticed between two times, newest first."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT epoch, sequence, ordinal, coalesce(symbol, ''), reason, last_id_before,"
                " first_id_after, last_time_ns, first_time_ns, detected_time_ns FROM gap_rows"
                " WHERE venue = %s AND channel = %s AND fill_outcome IS NULL AND reason <> %s"
                " AND detected_time_ns BETWEEN %s AND %s ORDER BY detected_time_ns DESC LIMIT %s",
                [
                    venue,
                    types_pb2.CHANNEL_TRADES,
                    types_pb2.GAP_REASON_OUT_OF_ORDER,
                    after_ns,
                    before_ns,
                    GAPS_MAX,
                ],
            )
            return [RecordedGap(*row) for row in await found.fetchall()]

    async def around(
        self, instrument: TradedInstrument, received_time_ns: int
    ) -> tuple[ExactTrade | None, ExactTrade | None]:
        """The last trade that was received before this time, and the first one after it."""
        async with self._database.transaction() as connection:
            return (
                await _next_to(connection, instrument, "received_time_ns < %s", received_time_ns),
                await _next_to(connection, instrument, "received_time_ns >= %s", received_time_ns),
            )

    async def first_time_ns(self, instrument: TradedInstrument) -> int | None:
        """Time of the first trade that was recorded; None before it."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT venue_time_ns FROM trade_rows WHERE instrument_id = %s"
                " ORDER BY venue_time_ns LIMIT 1",
                [instrument.instrument_id],
            )
            row = await found.fetchone()
            return None if row is None else int(row[0])

    async def edges(
        self, instrument: TradedInstrument, start_ns: int, end_ns: int
    ) -> tuple[ExactTrade | None, ExactTrade | None]:
        """The last trade before a time, and the first one at another or after it."""
        async with self._database.transaction() as connection:
            found: list[ExactTrade | None] = []
            for condition, order in (("< %s", "DESC"), (">= %s", "ASC")):
                rows = await connection.execute(
                    f"SELECT {_TRADE} FROM trade_rows WHERE instrument_id = %s"
                    f" AND venue_time_ns {condition}"
                    f" ORDER BY venue_time_ns {order}, trade_id {order} LIMIT 1".encode(),
                    [instrument.instrument_id, end_ns if found else start_ns],
                )
                row = await rows.fetchone()
                found.append(None if row is None else ExactTrade(*row))
            return found[0], found[1]

    async def minutes(
        self, instrument: TradedInstrument, start_ns: int, end_ns: int
    ) -> dict[int, MinuteCandle]:
        """Our bars of one minute that begin in this time."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT open_time_ns, open, high, low, close, volume FROM bars WHERE venue = %s"
                " AND symbol = %s AND interval = '1m' AND open_time_ns >= %s AND open_time_ns < %s",
                [instrument.venue, instrument.symbol, start_ns, end_ns],
            )
            return {row[0]: MinuteCandle(*row[1:]) for row in await found.fetchall()}

    async def venue_minutes(
        self, instrument: TradedInstrument, start_ns: int, end_ns: int
    ) -> dict[int, MinuteCandle]:
        """The venue's own final candles of one minute that were recorded."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT open_time_ns, open, high, low, close, volume FROM candle_rows"
                " WHERE instrument_id = %s AND interval_s = %s AND closed"
                " AND open_time_ns >= %s AND open_time_ns < %s",
                [instrument.instrument_id, MINUTE_S, start_ns, end_ns],
            )
            return {row[0]: MinuteCandle(*row[1:]) for row in await found.fetchall()}

    async def venue_time_ns(self, venue: str) -> int:
        """How far the time of a venue's trades has got in all of the bars; 0 before the first."""
        stream = str(StreamKey(venue, types_pb2.CHANNEL_TRADES))
        async with self._database.transaction() as connection:
            found = await connection.execute(
                "SELECT coalesce(min(newest_time_ns), 0) FROM bar_positions"
                " WHERE stream = %s AND newest_time_ns > 0",
                [stream],
            )
            return int((await found.fetchall())[0][0])


def _within(instrument: TradedInstrument, span: HoleSpan, first: int, last: int) -> list[Any]:
    start_ns, end_ns = span.start_time_ns - SLACK_NS, span.end_time_ns + SLACK_NS
    return [instrument.instrument_id, first, last, start_ns, end_ns]


async def _is_whole(connection: Connection, instrument: TradedInstrument, span: HoleSpan) -> bool:
    first, last = span.last_id_before + 1, span.first_id_after - 1
    found = await connection.execute(
        f"SELECT count(*) FROM trade_rows WHERE {_IDS_WITHIN}".encode(),
        _within(instrument, span, first, last),
    )
    return bool((await found.fetchall())[0][0] == last - first + 1)


async def _next_to(
    connection: Connection, instrument: TradedInstrument, condition: str, received_time_ns: int
) -> ExactTrade | None:
    """Of the newest trades: before that time the last one, otherwise the first."""
    order = "DESC" if "<" in condition else "ASC"
    found = await connection.execute(
        f"SELECT {_TRADE} FROM (SELECT * FROM trade_rows WHERE instrument_id = %s"
        " ORDER BY venue_time_ns DESC LIMIT %s) AS newest"
        f" WHERE {condition} ORDER BY venue_time_ns {order}, trade_id {order} LIMIT 1".encode(),
        [instrument.instrument_id, SCAN_ROWS_MAX, received_time_ns],
    )
    row = await found.fetchone()
    return None if row is None else ExactTrade(*row)
