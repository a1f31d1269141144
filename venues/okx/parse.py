"""Parses OKX frames into columns, without I/O, clock or state.

Documentation: https://www.okx.com/docs-v5/en/#order-book-trading-market-data and, for mark, index
and funding of swaps, https://www.okx.com/docs-v5/en/#public-data-websocket
"""

import msgspec
import numpy as np

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.number_columns import IntColumn
from kit.base.numbers import NumberError
from kit.marketdata.frames import (
    DecodedFrames,
    Field,
    FrameError,
    Frames,
    FrameSchema,
    LevelList,
    optional,
)
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    MarkRows,
    NumberColumn,
    QuoteRows,
    SymbolColumn,
    TickerRows,
    TradeRows,
    zeros,
)

SIDES = {"buy": SIDE_BUY, "sell": SIDE_SELL}
SNAPSHOT = {"snapshot": 1, "update": 0}
SWAP = "-SWAP"
"""Suffix of the name of a swap; the name of its index has no suffix."""
MINUTE_S = 60
CANDLE_PLACES_MIN = 7
"""Candles of before 2023 end here: without the volume in quote units, and without confirm."""
CONFIRM = 8

TRADE = FrameSchema(
    "data[]",
    {
        "instId": Field.TEXT,
        "tradeId": Field.INTEGER,
        "px": Field.DECIMAL,
        "sz": Field.DECIMAL,
        "side": Field.TEXT,
        "ts": Field.INTEGER,
        "count": optional(Field.INTEGER),
    },
)
QUOTE = FrameSchema(
    "data[]",
    {"asks": LevelList.asks(0, 1), "bids": LevelList.bids(0, 1), "ts": Field.INTEGER},
    outer={"arg.instId": Field.TEXT},
)
BOOK = FrameSchema(
    "data[]",
    {
        "asks": LevelList.asks(0, 1),
        "bids": LevelList.bids(0, 1),
        "ts": Field.INTEGER,
        "checksum": optional(Field.INTEGER),
        "prevSeqId": optional(Field.INTEGER),
        "seqId": optional(Field.INTEGER),
    },
    outer={"arg.instId": Field.TEXT, "action": Field.TEXT},
)
TICKER = FrameSchema(
    "data[]",
    {
        "instId": Field.TEXT,
        "last": Field.DECIMAL,
        "open24h": Field.DECIMAL,
        "high24h": Field.DECIMAL,
        "low24h": Field.DECIMAL,
        "vol24h": Field.DECIMAL,
        "ts": Field.INTEGER,
    },
)
MARK = FrameSchema("data[]", {"instId": Field.TEXT, "markPx": Field.DECIMAL, "ts": Field.INTEGER})
INDEX = FrameSchema("data[]", {"instId": Field.TEXT, "idxPx": Field.DECIMAL, "ts": Field.INTEGER})
FUNDING = FrameSchema(
    "data[]",
    {
        "instId": Field.TEXT,
        "fundingRate": Field.DECIMAL,
        "fundingTime": Field.INTEGER,
        "ts": optional(Field.INTEGER),
    },
)


class _CandleArgument(msgspec.Struct):
    instId: str  # noqa: N815 - OKX's word


class _CandleFrame(msgspec.Struct):
    arg: _CandleArgument
    data: list[list[str]]


_candle_frames = msgspec.json.Decoder(list[_CandleFrame])


def trades(frames: Frames) -> TradeRows:
    """Frames of the channel trades.

    {"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",
    "tradeId":"338476307","px":"30236","sz":"0.0002","side":"buy","ts":"1652459224818",
    "count":"3","source":"0","seqId":1234}]}

    side: the taker's. A row may combine ``count`` matches of a taker at one price; tradeId is the
    last one, so the trade before the row has the id tradeId - count. sz of swaps: contracts. Raises
    FrameError.
    """
    found = TRADE.decode(frames)
    trade_id = found.integers("tradeId")
    return TradeRows(
        symbols=found.symbols("instId"),
        price=found.numbers("px"),
        size=found.numbers("sz"),
        side=found.among("side", SIDES),
        venue_time_ns=_venue_time_ns(found),
        received_time_ns=frames.received_time_ns[found.frame],
        trade_id=trade_id,
        previous_id=trade_id - np.maximum(found.integers("count"), 1),
    )


def quotes(frames: Frames) -> QuoteRows:
    """Frames of the channel bbo-tbt. A side without orders is empty in the frame and 0 in the row.

    {"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[["31774.7","0.14368878","0",
    "3"]],"bids":[["31774.6","0.3392211","0","3"]],"ts":"1654032991947","seqId":363996337}]}

    seqId is not used: it increases, but restarts after maintenance, and all later quotes would seem
    old. Raises FrameError.
    """
    found = QUOTE.decode(frames)
    bid_price, bid_size = found.bids.best()
    ask_price, ask_size = found.asks.best()
    return QuoteRows(
        symbols=found.symbols("arg.instId"),
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        venue_time_ns=_venue_time_ns(found),
        received_time_ns=frames.received_time_ns[found.frame],
        sequence=zeros(len(found)),
    )


def book(frames: Frames) -> BookRows:
    """Frames of the channel books.

    {"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["30243.5",
    "1.2112","0","4"]],"bids":[],"ts":"1652459225500","checksum":0,"prevSeqId":123,"seqId":125}]}

    A level is price, size, a 0 of no meaning and the number of orders; a size of 0 removes it. An
    update covers the ids after prevSeqId up to seqId; a snapshot's prevSeqId is -1. Raises
    FrameError.
    """
    found = BOOK.decode(frames)
    snapshot = found.among("action", SNAPSHOT)
    last, previous = found.integers("seqId"), found.integers("prevSeqId")
    return BookRows(
        symbols=found.symbols("arg.instId"),
        first_sequence=np.where(snapshot, last, np.minimum(previous + 1, last)),
        last_sequence=last,
        previous_sequence=previous,
        snapshot=snapshot,
        checksum=found.integers("checksum"),
        venue_time_ns=_venue_time_ns(found),
        received_time_ns=frames.received_time_ns[found.frame],
        bids=found.bids,
        asks=found.asks,
    )


def tickers(frames: Frames) -> TickerRows:
    """Frames of the channel tickers. vol24h: base units, for swaps contracts.

    {"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT",
    "instId":"BTC-USDT","last":"29934","lastSz":"0.00001468","askPx":"29934.1",
    "askSz":"0.30918743","bidPx":"29934","bidSz":"0.05181315","open24h":"31588.3",
    "high24h":"31899.8","low24h":"29318.7","sodUtc0":"29806.5","sodUtc8":"30747",
    "volCcy24h":"302140058.01215828","vol24h":"9935.14546361","ts":"1654166073135"}]}

    Raises FrameError.
    """
    found = TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("instId"),
        last_price=found.numbers("last"),
        open_price=found.numbers("open24h"),
        high_price=found.numbers("high24h"),
        low_price=found.numbers("low24h"),
        volume=found.numbers("vol24h"),
        venue_time_ns=_venue_time_ns(found),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def marks(frames: Frames) -> MarkRows:
    """Frames of the channel mark-price, which say the mark price alone.

    {"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP",
    "instId":"BTC-USDT-SWAP","markPx":"42310.6","ts":"1630049139746"}]}

    Raises FrameError.
    """
    found = MARK.decode(frames)
    return _mark_rows(frames, found, found.symbols("instId"), mark_price=found.numbers("markPx"))


def indexes(frames: Frames) -> MarkRows:
    """Frames of the channel index-tickers, which say the index price alone, under its own name.

    {"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT",
    "idxPx":"42310.1","high24h":"42820","low24h":"41500","open24h":"42112.5","sodUtc0":"42280.9",
    "sodUtc8":"42201","ts":"1630049139746"}]}

    The rows are of the swap on the index. Raises FrameError.
    """
    found = INDEX.decode(frames)
    named = found.symbols("instId")
    symbols = SymbolColumn([name + SWAP for name in named.names], named.row)
    return _mark_rows(frames, found, symbols, index_price=found.numbers("idxPx"))


def fundings(frames: Frames) -> MarkRows:
    """Frames of the channel funding-rate, which say the rate and when it is exchanged alone.

    {"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{
    "fundingRate":"0.0001534702159002","fundingTime":"1646323200000","instId":"BTC-USDT-SWAP",
    "instType":"SWAP","nextFundingRate":"","nextFundingTime":"1646352000000",
    "ts":"1646312440645"}]}

    fundingRate is exchanged at fundingTime; nextFundingTime is the time after that. Raises
    FrameError.
    """
    found = FUNDING.decode(frames)
    return _mark_rows(
        frames,
        found,
        found.symbols("instId"),
        funding_rate=found.numbers("fundingRate"),
        next_funding_time_ns=found.integers("fundingTime") * NANOSECONDS_PER_MILLISECOND,
    )


def candles(frames: Frames) -> CandleRows:
    """Frames of the channel candle1m, whose rows are lists.

    {"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1654154580000","29930.7","29936.3",
    "29930.7","29936.3","0.0111536","333.86246417","333.86246417","0"]]}

    In order: begin, ms; open, high, low, close; volume in base units, for swaps contracts; two more
    volumes; confirm, "1" when the candle is final. There is no time of the frame. Raises
    FrameError.
    """
    try:
        found = _candle_frames.decode(b"[" + b",".join(frames.payloads) + b"]")
        rows = [row for frame in found for row in frame.data]
        if any(len(row) < CANDLE_PLACES_MIN for row in rows):
            raise FrameError("a candle has too few numbers")
        counts = [len(frame.data) for frame in found]
        return CandleRows(
            symbols=SymbolColumn.of([frame.arg.instId for frame in found for _ in frame.data]),
            interval_s=np.full(len(rows), MINUTE_S, dtype=np.int64),
            open_time_ns=_integers([row[0] for row in rows]) * NANOSECONDS_PER_MILLISECOND,
            open=NumberColumn.parse([row[1] for row in rows]),
            high=NumberColumn.parse([row[2] for row in rows]),
            low=NumberColumn.parse([row[3] for row in rows]),
            close=NumberColumn.parse([row[4] for row in rows]),
            volume=NumberColumn.parse([row[5] for row in rows]),
            closed=np.array([row[CONFIRM:] == ["1"] for row in rows], dtype=np.int64),
            venue_time_ns=zeros(len(rows)),
            received_time_ns=np.repeat(frames.received_time_ns, counts),
        )
    except (msgspec.DecodeError, NumberError, OverflowError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from error


def _mark_rows(
    frames: Frames,
    found: DecodedFrames,
    symbols: SymbolColumn,
    mark_price: NumberColumn | None = None,
    index_price: NumberColumn | None = None,
    funding_rate: NumberColumn | None = None,
    next_funding_time_ns: IntColumn | None = None,
) -> MarkRows:
    nothing = zeros(len(found))
    unsaid = NumberColumn(nothing, 0)
    return MarkRows(
        symbols=symbols,
        mark_price=unsaid if mark_price is None else mark_price,
        index_price=unsaid if index_price is None else index_price,
        funding_rate=unsaid if funding_rate is None else funding_rate,
        next_funding_time_ns=nothing if next_funding_time_ns is None else next_funding_time_ns,
        venue_time_ns=_venue_time_ns(found),
        received_time_ns=frames.received_time_ns[found.frame],
    )


def _venue_time_ns(found: DecodedFrames) -> IntColumn:
    return found.integers("ts") * NANOSECONDS_PER_MILLISECOND


def _integers(texts: list[str]) -> IntColumn:
    if not all(map(str.isdecimal, texts)):
        raise FrameError("a time is not a number")
    return np.array(list(map(int, texts)), dtype=np.int64)
