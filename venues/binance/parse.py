"""Parses Binance frames into columns, without I/O, clock or state.

Spot and USD-M futures have the same formats; where they differ, each has a function. Documentation:
https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

import numpy as np

from kit.base.clock import NANOSECONDS_PER_MILLISECOND
from kit.base.number_columns import IntColumn
from kit.marketdata.frames import DecodedFrames, Field, Frames, FrameSchema, LevelList
from kit.marketdata.model.columns import (
    SIDE_BUY,
    SIDE_SELL,
    BookRows,
    CandleRows,
    MarkRows,
    QuoteRows,
    TickerRows,
    TradeRows,
    zeros,
)

MARKET = "MARKET"
"""Futures: a trade that was made in the order book."""
INTERVALS_S = {
    "1s": 1, "1m": 60, "3m": 180, "5m": 300, "15m": 900, "30m": 1800,
    "1h": 3600, "2h": 7200, "4h": 14_400, "6h": 21_600, "8h": 28_800, "12h": 43_200,
    "1d": 86_400, "3d": 259_200, "1w": 604_800,
}  # fmt: skip
"""All intervals except the month, which has no fixed length."""

TRADE = FrameSchema(
    "data",
    {
        "s": Field.TEXT,
        "t": Field.INTEGER,
        "p": Field.DECIMAL,
        "q": Field.DECIMAL,
        "T": Field.INTEGER,
        "m": Field.FLAG,
    },
)
FUTURES_TRADE = FrameSchema(
    "data",
    {
        "T": Field.INTEGER,
        "s": Field.TEXT,
        "t": Field.INTEGER,
        "p": Field.DECIMAL,
        "q": Field.DECIMAL,
        "X": Field.TEXT,
        "m": Field.FLAG,
    },
)
QUOTE_FIELDS = {
    "u": Field.INTEGER,
    "s": Field.TEXT,
    "b": Field.DECIMAL,
    "B": Field.DECIMAL,
    "a": Field.DECIMAL,
    "A": Field.DECIMAL,
}
QUOTE = FrameSchema("data", QUOTE_FIELDS)
FUTURES_QUOTE = FrameSchema("data", QUOTE_FIELDS | {"T": Field.INTEGER})
DEPTH = FrameSchema(
    "data",
    {
        "E": Field.INTEGER,
        "s": Field.TEXT,
        "U": Field.INTEGER,
        "u": Field.INTEGER,
        "b": LevelList.bids(0, 1),
        "a": LevelList.asks(0, 1),
    },
)
FUTURES_DEPTH = FrameSchema(
    "data",
    {
        "T": Field.INTEGER,
        "s": Field.TEXT,
        "U": Field.INTEGER,
        "u": Field.INTEGER,
        "pu": Field.INTEGER,
        "b": LevelList.bids(0, 1),
        "a": LevelList.asks(0, 1),
    },
)
AGGREGATE = FrameSchema(
    "data",
    {
        "s": Field.TEXT,
        "a": Field.INTEGER,
        "p": Field.DECIMAL,
        "q": Field.DECIMAL,
        "T": Field.INTEGER,
        "m": Field.FLAG,
    },
)
TICKER = FrameSchema(
    "data",
    {
        "C": Field.INTEGER,
        "s": Field.TEXT,
        "c": Field.DECIMAL,
        "o": Field.DECIMAL,
        "h": Field.DECIMAL,
        "l": Field.DECIMAL,
        "v": Field.DECIMAL,
    },
)
CANDLE = FrameSchema(
    "data",
    {
        "E": Field.INTEGER,
        "s": Field.TEXT,
        "k.t": Field.INTEGER,
        "k.i": Field.TEXT,
        "k.o": Field.DECIMAL,
        "k.c": Field.DECIMAL,
        "k.h": Field.DECIMAL,
        "k.l": Field.DECIMAL,
        "k.v": Field.DECIMAL,
        "k.x": Field.FLAG,
    },
)
MARK = FrameSchema(
    "data",
    {
        "E": Field.INTEGER,
        "s": Field.TEXT,
        "p": Field.DECIMAL,
        "i": Field.DECIMAL,
        "r": Field.DECIMAL,
        "T": Field.INTEGER,
    },
)


def trades(frames: Frames) -> TradeRows:
    """Frames of <symbol>@trade.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,
    "p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}

    m: the buyer was the maker, so the taker sold. T: trade time, ms. Raises FrameError.
    """
    return _trade_rows(TRADE.decode(frames), frames, "t")


def futures_trades(frames: Frames) -> TradeRows:
    """Frames of <symbol>@trade of futures, which also include trades outside the order book.

    {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,"T":1723161256322,"s":"BTCUSDT",
    "t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET","m":false}}

    X: MARKET, INSURANCE_FUND, ADL, or NA when the id was used up without a trade ("p":"0","q":"0").
    All but MARKET are marked as spent ids. Raises FrameError.
    """
    found = FUTURES_TRADE.decode(frames)
    kinds = found.symbols("X")
    if kinds.names == [MARKET]:
        return _trade_rows(found, frames, "t")
    spent = np.array([kind != MARKET for kind in kinds.names], dtype=np.int64)[kinds.row]
    return _trade_rows(found, frames, "t", spent)


def aggregates(frames: Frames) -> TradeRows:
    """Frames of <symbol>@aggTrade, of spot and futures: the fills of one order at one price.

    {"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1616202009196,"a":389551486,
    "s":"BTCUSDT","p":"58665.00","q":"0.043","f":621622993,"l":621622993,"T":1616202009188,
    "m":false}}

    a: the id of the aggregate trade, consecutive; f and l: the ids of the trades in it. Raises
    FrameError.
    """
    return _trade_rows(AGGREGATE.decode(frames), frames, "a")


def quotes(frames: Frames) -> QuoteRows:
    """Frames of <symbol>@bookTicker, which carry no time.

    {"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000",
    "B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}

    Raises FrameError.
    """
    return _quote_rows(QUOTE.decode(frames), frames, zeros(len(frames)))


def futures_quotes(frames: Frames) -> QuoteRows:
    """Frames of <symbol>@bookTicker of futures, which carry two times.

    {"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5123107839020,"s":"BTCUSDT",
    "b":"61800.20","B":"2.507","a":"61800.30","A":"2.510","T":1723161256313,"E":1723161256313}}

    T: transaction time, ms; E: send time. Raises FrameError.
    """
    found = FUTURES_QUOTE.decode(frames)
    return _quote_rows(found, frames, _time_ns(found, "T"))


def book(frames: Frames) -> BookRows:
    """Frames of <symbol>@depth and <symbol>@depth@100ms.

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT",
    "U":50093239203,"u":50093239207,"b":[["55653.87000000","0.00000000"]],"a":[]}}

    U and u: first and last update id. A size of 0 removes the level. E: event time, ms.
    Raises FrameError.
    """
    found = DEPTH.decode(frames)
    return _book_rows(found, frames, zeros(len(frames)), _time_ns(found, "E"))


def futures_book(frames: Frames) -> BookRows:
    """Frames of <symbol>@depth@100ms of futures.

    {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1622371244693,"T":1622371244687,
    "s":"BTCUSDT","U":475776377463,"u":475776380184,"pu":475776377452,
    "b":[["35729.77","1.600"]],"a":[["35819.20","0.211"]]}}

    pu: u of the previous update. Ids are shared by all symbols, so U is seldom pu + 1. T: when the
    book changed, ms. Raises FrameError.
    """
    found = FUTURES_DEPTH.decode(frames)
    return _book_rows(found, frames, found.integers("pu"), _time_ns(found, "T"))


def tickers(frames: Frames) -> TickerRows:
    """Frames of <symbol>@ticker, of spot and futures.

    {"stream":"ethusdt@ticker","data":{"e":"24hrTicker","E":1653815205866,"s":"ETHUSDT","p":"24.69",
    "P":"1.405","w":"1782.01","c":"1782.02","Q":"0.003","o":"1757.33","h":"1809.33","l":"1750.45",
    "v":"1678290.411","q":"2990736920.72","O":1653728760000,"C":1653815205856,…}}

    c, o, h, l: last, first, highest and lowest price of the 24 hours from O to C, ms; v: volume in
    base units. Raises FrameError.
    """
    found = TICKER.decode(frames)
    return TickerRows(
        symbols=found.symbols("s"),
        last_price=found.numbers("c"),
        open_price=found.numbers("o"),
        high_price=found.numbers("h"),
        low_price=found.numbers("l"),
        volume=found.numbers("v"),
        venue_time_ns=_time_ns(found, "C"),
        received_time_ns=frames.received_time_ns,
    )


def candles(frames: Frames) -> CandleRows:
    """Frames of <symbol>@kline_1m, of spot and futures.

    {"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1653818762502,"s":"BTCUSDT","k":{
    "t":1653818760000,"T":1653818819999,"s":"BTCUSDT","i":"1m","f":1384844002,"L":1384844032,
    "o":"29038.46000000","c":"29038.47000000","h":"29038.47000000","l":"29038.46000000",
    "v":"0.20926000","n":31,"x":false,"q":"6076.58918320","V":"0.10436000",…}}}

    t: begin, ms; x: whether it is final; v: volume in base units. Raises FrameError.
    """
    found = CANDLE.decode(frames)
    return CandleRows(
        symbols=found.symbols("s"),
        interval_s=found.among("k.i", INTERVALS_S),
        open_time_ns=_time_ns(found, "k.t"),
        open=found.numbers("k.o"),
        high=found.numbers("k.h"),
        low=found.numbers("k.l"),
        close=found.numbers("k.c"),
        volume=found.numbers("k.v"),
        closed=found.integers("k.x"),
        venue_time_ns=_time_ns(found, "E"),
        received_time_ns=frames.received_time_ns,
    )


def marks(frames: Frames) -> MarkRows:
    """Frames of <symbol>@markPrice@1s of futures.

    {"stream":"btcusdt@markPrice","data":{"e":"markPriceUpdate","E":1617308820003,"s":"BTCUSDT",
    "p":"58940.14924532","P":"58905.14663658","i":"58857.26693664","r":"0.00058455",
    "T":1617321600000}}

    p: mark price; i: index; r: funding rate of the running interval; T: its end, ms; P: estimated
    settlement price, of use only in the last hour of a dated future. Raises FrameError.
    """
    found = MARK.decode(frames)
    return MarkRows(
        symbols=found.symbols("s"),
        mark_price=found.numbers("p"),
        index_price=found.numbers("i"),
        funding_rate=found.numbers("r"),
        next_funding_time_ns=_time_ns(found, "T"),
        venue_time_ns=_time_ns(found, "E"),
        received_time_ns=frames.received_time_ns,
    )


def _trade_rows(
    found: DecodedFrames, frames: Frames, number: str, spent: IntColumn | None = None
) -> TradeRows:
    trade_id = found.integers(number)
    return TradeRows(
        symbols=found.symbols("s"),
        price=found.numbers("p"),
        size=found.numbers("q"),
        side=np.where(found.integers("m"), SIDE_SELL, SIDE_BUY),
        venue_time_ns=_time_ns(found, "T"),
        received_time_ns=frames.received_time_ns,
        trade_id=trade_id,
        previous_id=trade_id - 1,
        spent=spent,
    )


def _quote_rows(found: DecodedFrames, frames: Frames, venue_time_ns: IntColumn) -> QuoteRows:
    return QuoteRows(
        symbols=found.symbols("s"),
        bid_price=found.numbers("b"),
        bid_size=found.numbers("B"),
        ask_price=found.numbers("a"),
        ask_size=found.numbers("A"),
        venue_time_ns=venue_time_ns,
        received_time_ns=frames.received_time_ns,
        sequence=found.integers("u"),
    )


def _book_rows(
    found: DecodedFrames, frames: Frames, previous: IntColumn, venue_time_ns: IntColumn
) -> BookRows:
    return BookRows(
        symbols=found.symbols("s"),
        first_sequence=found.integers("U"),
        last_sequence=found.integers("u"),
        previous_sequence=previous,
        snapshot=zeros(len(frames)),
        checksum=None,
        venue_time_ns=venue_time_ns,
        received_time_ns=frames.received_time_ns,
        bids=found.bids,
        asks=found.asks,
    )


def _time_ns(found: DecodedFrames, name: str) -> IntColumn:
    return found.integers(name) * NANOSECONDS_PER_MILLISECOND
