"""Layouts of importable files.

The public archive of Binance: https://github.com/binance/binance-public-data, chapters "Trades",
"AggTrades" and "Klines" of its README, spot and futures. Its files have a header or none. Spot
times are in ms, and from 2025-01-01 on in us.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ops.errors import OperationsError

ID, PRICE, SIZE, TIME = "trade_id", "price", "size", "venue_time_ns"
FIRST_ID, LAST_ID = "first_id", "last_id"
MAKER = "buyer_is_maker"
CLOSE_TIME = "close_time_ns"
BOOLEANS = frozenset({"true", "false"})


class FileRowKind(Enum):
    """Kind of the rows."""

    TRADES = "trades"
    AGGREGATES = "aggregates of trades"
    CANDLES = "candles"


@dataclass(frozen=True, slots=True)
class FileLayout:
    """The columns of a CSV file in order; unused columns are None."""

    holds: FileRowKind
    columns: Sequence[str | None]


SPOT_TRADES = FileLayout(FileRowKind.TRADES, (ID, PRICE, SIZE, None, TIME, MAKER, None))
FUTURES_TRADES = FileLayout(FileRowKind.TRADES, (ID, PRICE, SIZE, None, TIME, MAKER))
FUTURES_AGGREGATES = FileLayout(
    FileRowKind.AGGREGATES, (ID, PRICE, SIZE, FIRST_ID, LAST_ID, TIME, MAKER)
)
SPOT_AGGREGATES = FileLayout(FileRowKind.AGGREGATES, (*FUTURES_AGGREGATES.columns, None))
KLINES = FileLayout(
    FileRowKind.CANDLES,
    ("open_time_ns", "open", "high", "low", "close", "volume", CLOSE_TIME, *(None,) * 5),
)
EXPORTED = (*("symbol", PRICE, SIZE, "side", TIME, "received_time_ns", ID, "trade_id_text"),)
"""The columns of ./venuemesh export --channel trades, in CSV."""

_BY_WIDTH = {6: FUTURES_TRADES, 8: SPOT_AGGREGATES, 12: KLINES}
_EITHER = 7
"""Columns of spot trades and of futures' aggregates."""


def has_header(first_line: str) -> bool:
    """Whether the first line of an archive is a header."""
    return not first_line.partition(",")[0].strip().isdecimal()


def binance_layout(first_line: str) -> FileLayout:
    """Raise OperationsError if the layout is not known."""
    fields = [field.strip().lower() for field in first_line.split(",")]
    if len(fields) == _EITHER:
        sixth = fields[5]
        is_trades = sixth in BOOLEANS or "maker" in sixth
        return SPOT_TRADES if is_trades else FUTURES_AGGREGATES
    if len(fields) not in _BY_WIDTH:
        raise OperationsError(
            f"{len(fields)} columns: Binance's trades have 6 or 7, aggTrades 7 or 8, klines 12"
        )
    return _BY_WIDTH[len(fields)]
