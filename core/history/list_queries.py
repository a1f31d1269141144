"""The lists of History: the statement of each, and the conversion of its rows."""

from typing import Any

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2
from venuemesh.marketdata.v1 import market_data_pb2

from core.history.paged_list import KeyOrderedList, MergedList, Row, SortKey, TimeOrderedList
from core.history.request_checks import INT64_MAX
from kit.base.clock import NANOSECONDS_PER_SECOND


def _decimals(*names: str) -> str:
    """Columns as exact text without trailing zeros."""
    return ", ".join(f"trim_scale({name})::text" for name in names)


TRADES = KeyOrderedList(
    f"coalesce(trade_id_text, trade_id::text), {_decimals('price', 'size')}, side,"
    " received_time_ns",
    "trade_rows WHERE instrument_id = %(instrument_id)s"
    " AND venue_time_ns >= %(start_ns)s AND venue_time_ns < %(end_ns)s",
    (
        SortKey("venue_time_ns"),
        SortKey("coalesce(trade_id, 0)"),
        SortKey("coalesce(trade_id_text, '') COLLATE \"C\"", str),
    ),
)

_QUOTE_NUMBERS = ("bid_price", "bid_size", "ask_price", "ask_size")
QUOTES = TimeOrderedList(
    f"{_decimals(*_QUOTE_NUMBERS)}, venue_time_ns, sequence",
    "quote_rows",
    "instrument_id = %(instrument_id)s",
    "received_time_ns",
    ("sequence", "venue_time_ns", *_QUOTE_NUMBERS),
)

_BAR_NUMBERS = ("open", "high", "low", "close", "volume", "buy_volume", "quote_volume")
_BAR_FIELDS = (
    *_BAR_NUMBERS,
    *("trade_count", "covered_ns", "revision", "final", "close_time_ns"),
)
_BAR_COLUMNS = ", ".join(
    _decimals(field) if field in _BAR_NUMBERS else field for field in _BAR_FIELDS
)
_BAR_CONDITION = (
    "venue = %(venue)s AND symbol = %(symbol)s AND interval = %(interval)s"
    " AND open_time_ns >= %(start_ns)s AND open_time_ns < %(end_ns)s"
)
_BAR_KEY = (SortKey("open_time_ns"), SortKey("number"))
BARS = KeyOrderedList(_BAR_COLUMNS, f"bars WHERE {_BAR_CONDITION}", _BAR_KEY)

_CANDLE_NUMBERS = ("open", "high", "low", "close", "volume")
_CANDLE_FIELDS = (*_CANDLE_NUMBERS, "close_time_ns", "final", "source")
CANDLES = KeyOrderedList(
    f"{_decimals(*_CANDLE_NUMBERS)},"
    f" open_time_ns + interval_s::bigint * {NANOSECONDS_PER_SECOND}, closed,"
    f" {bars_pb2.BAR_SOURCE_VENUE_CANDLE}",
    "(SELECT *, 0 AS number FROM candle_rows) AS candles"
    " WHERE instrument_id = %(instrument_id)s AND interval_s = %(interval_s)s"
    " AND open_time_ns >= %(start_ns)s AND open_time_ns < %(end_ns)s AND closed AND volume > 0",
    _BAR_KEY,
)
"""Final candles of the venue that contain trades."""
BARS_AND_CANDLES = MergedList(BARS, CANDLES)

_NAMES = f"venue, symbol, interval, open_time_ns, number, {', '.join(_BAR_FIELDS)}, written_time_ns"
BARS_AS_OF = KeyOrderedList(
    _BAR_COLUMNS,
    f"(SELECT {_NAMES}, {INT64_MAX} AS superseded_time_ns FROM bars UNION ALL"
    f" SELECT {_NAMES}, superseded_time_ns FROM bar_revisions) AS versions"
    f" WHERE {_BAR_CONDITION}"
    " AND written_time_ns <= %(as_of_ns)s AND superseded_time_ns > %(as_of_ns)s",
    _BAR_KEY,
)
"""The revision of each bar that was current at a time."""

_GAP_FIELDS = (
    "symbol",
    "reason",
    "last_id_before",
    "first_id_after",
    "last_time_ns",
    "first_time_ns",
    "detected_time_ns",
    "detail",
)
GAPS = KeyOrderedList(
    ", ".join(_GAP_FIELDS),
    "gap_rows WHERE venue = %(venue)s"
    " AND (%(symbol)s = '' OR symbol IS NULL OR symbol = %(symbol)s)"
    " AND (%(channel)s = 0 OR channel = %(channel)s)"
    " AND detected_time_ns >= %(start_ns)s AND detected_time_ns < %(end_ns)s",
    tuple(map(SortKey, ("channel", "epoch", "sequence", "ordinal"))),
)

_QUALITY_FIELDS = (
    "window_end_ns",
    "score",
    "coverage",
    "freshness",
    "agreement",
    "open_hole_count",
)
QUALITY = KeyOrderedList(
    ", ".join(_QUALITY_FIELDS),
    "quality_rows WHERE venue = %(venue)s AND (%(symbol)s = '' OR symbol = %(symbol)s)"
    " AND computed_time_ns >= %(start_ns)s AND computed_time_ns < %(end_ns)s",
    (
        SortKey("computed_time_ns", against=True),
        SortKey('symbol COLLATE "C"', str),
        SortKey("window_start_ns"),
    ),
)


GAP_COLUMNS = ", ".join((*_GAP_FIELDS, *(key.expression for key in GAPS.key)))
"""The columns of a row for ``gap``."""


def trade(row: Row) -> market_data_pb2.Trade:
    """From a row of TRADES."""
    trade_id, price, size, side, received_time_ns, venue_time_ns = row[:6]
    return market_data_pb2.Trade(
        trade_id=trade_id,
        price=price,
        size=size,
        side=side,
        venue_time_ns=venue_time_ns,
        received_time_ns=received_time_ns,
    )


def quote(row: Row) -> history_pb2.Quote:
    """From a row of QUOTES."""
    *values, venue_time_ns, sequence, received_time_ns = row
    numbers: dict[str, Any] = dict(zip(_QUOTE_NUMBERS, values, strict=True))
    return history_pb2.Quote(
        venue_time_ns=venue_time_ns,
        received_time_ns=received_time_ns,
        sequence=sequence,
        **numbers,
    )


def bar(request: history_pb2.ListBarsRequest, row: Row) -> bars_pb2.Bar:
    """From a row of BARS, BARS_AS_OF or CANDLES."""
    *values, open_time_ns, number = row
    names = _CANDLE_FIELDS if len(values) == len(_CANDLE_FIELDS) else _BAR_FIELDS
    fields: dict[str, Any] = {"source": bars_pb2.BAR_SOURCE_TRADES}
    fields |= zip(names, values, strict=True)
    return bars_pb2.Bar(
        venue=request.venue,
        symbol=request.symbol,
        interval=request.interval,
        open_time_ns=open_time_ns,
        number=number,
        **fields,
    )


def gap(row: Row) -> history_pb2.RecordedGap:
    """From a row of GAPS."""
    *values, channel, epoch, sequence, _ = row
    fields: dict[str, Any] = dict(zip(_GAP_FIELDS, values, strict=True))
    return history_pb2.RecordedGap(
        channel=channel,
        cursor=types_pb2.Cursor(epoch=epoch, sequence=sequence),
        gap=types_pb2.Gap(**fields),
    )


def quality(row: Row) -> history_pb2.Quality:
    """From a row of QUALITY."""
    *values, computed_time_ns, symbol, window_start_ns = row
    fields: dict[str, Any] = dict(zip(_QUALITY_FIELDS, values, strict=True))
    return history_pb2.Quality(
        symbol=symbol,
        computed_time_ns=computed_time_ns,
        window_start_ns=window_start_ns,
        **fields,
    )
