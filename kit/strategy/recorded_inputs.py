"""Reads market data of strategies from History, live and for the past."""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.intervals import BarInterval
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputRow, InputSeries, TradeRow

if TYPE_CHECKING:
    HistoryStub: TypeAlias = history_pb2_grpc.HistoryAsyncStub

CALL_SECONDS_MAX = 10.0
NANOSECONDS = 1_000_000_000
EXACT_BOOKS = (market_data_pb2.BOOK_STATE_PROVEN, market_data_pb2.BOOK_STATE_UNPROVEN)
CHANNELS = {
    InputKind.QUOTES: types_pb2.CHANNEL_QUOTES,
    InputKind.MARKS: types_pb2.CHANNEL_MARKS,
    InputKind.TRADES: types_pb2.CHANNEL_TRADES,
}
BARS_PAGE = 1_000


class RecordedInputs:
    """The rows of series as they are recorded. Raises grpc.aio.AioRpcError."""

    def __init__(self, stub: "HistoryStub", interval: BarInterval) -> None:
        """``interval``: of bars."""
        self._stub = stub
        self._interval = interval

    async def rows(
        self, series: InputSeries, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        """Rows with after_ns < time <= until_ns, oldest first. Not of books."""
        venue, _, symbol = series.instrument.partition("/")
        times = history_pb2.TimeRange(start_time_ns=after_ns + 1, end_time_ns=until_ns + 1)
        if series.kind is InputKind.BARS:
            async for row in self._bars(venue, symbol, after_ns, until_ns):
                yield row
            return
        request = history_pb2.ReadRequest(
            venue=venue, channel=CHANNELS[series.kind], symbols=[symbol], range=times
        )
        async for answer in self._stub.Read(request):
            for batch in answer.batches:
                for row in rows_of(batch):
                    yield row

    async def book(self, series: InputSeries, time_ns: int) -> InputRow | None:
        """The row of a book at a time. None: the book is in doubt, or the record has no later
        update yet."""
        venue, _, symbol = series.instrument.partition("/")
        newest = history_pb2.GetOrderBookAtRequest(venue=venue, symbol=symbol, depth=1)
        answer = await self._stub.GetOrderBookAt(newest, timeout=CALL_SECONDS_MAX)
        if answer.received_time_ns <= time_ns:
            return None
        wanted = history_pb2.GetOrderBookAtRequest(
            venue=venue, symbol=symbol, depth=series.levels, time_ns=time_ns
        )
        book = (await self._stub.GetOrderBookAt(wanted, timeout=CALL_SECONDS_MAX)).book
        if book.state not in EXACT_BOOKS:
            return None
        return InputRow(time_ns, (_depth(book.bids), _depth(book.asks)))

    async def _bars(
        self, venue: str, symbol: str, after_ns: int, until_ns: int
    ) -> AsyncIterator[InputRow]:
        """Final bars that end in a range."""
        length_ns = self._interval.length_ns
        first, last = after_ns + 1 - length_ns, until_ns + 1 - length_ns
        request = history_pb2.ListBarsRequest(
            venue=venue,
            symbol=symbol,
            interval=self._interval.name,
            range=history_pb2.TimeRange(start_time_ns=max(first, 1), end_time_ns=last),
            page_size=BARS_PAGE,
        )
        while True:
            answer = await self._stub.ListBars(request, timeout=CALL_SECONDS_MAX)
            for bar in answer.bars:
                if not bar.final:
                    return
                yield InputRow(bar.close_time_ns, _bar_values(bar))
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token


def rows_of(batch: batch_pb2.MarketDataBatch) -> Iterator[InputRow]:
    """The rows of one instrument."""
    if batch.HasField("quotes"):
        return _quotes(batch)
    if batch.HasField("marks"):
        return _marks(batch)
    return _trades(batch)


def _quotes(batch: batch_pb2.MarketDataBatch) -> Iterator[InputRow]:
    columns = batch.quotes
    for at, number in enumerate(columns.instrument):
        price, size = _scales(batch.instruments[number])
        yield InputRow(
            columns.received_time_ns[at],
            (
                columns.bid_price[at] / price,
                columns.bid_size[at] / size,
                columns.ask_price[at] / price,
                columns.ask_size[at] / size,
            ),
        )


def _marks(batch: batch_pb2.MarketDataBatch) -> Iterator[InputRow]:
    """None for 0, which marks a missing value."""
    columns = batch.marks
    for at, number in enumerate(columns.instrument):
        entry = batch.instruments[number]
        price, rate = 10**entry.price_scale, 10**entry.rate_scale
        values = (
            columns.mark_price[at] / price,
            columns.index_price[at] / price,
            columns.funding_rate[at] / rate,
            columns.next_funding_time_ns[at] / NANOSECONDS,
        )
        known = tuple(value or None for value in values)
        yield InputRow(columns.received_time_ns[at], known)


def _trades(batch: batch_pb2.MarketDataBatch) -> Iterator[InputRow]:
    """Without those whose taker is not known."""
    columns = batch.trades
    signs = {types_pb2.SIDE_BUY: 1, types_pb2.SIDE_SELL: -1}
    for at, number in enumerate(columns.instrument):
        sign = signs.get(columns.side[at])
        if sign is None:
            continue
        price, size = _scales(batch.instruments[number])
        traded = TradeRow(
            sign * columns.size[at] / size, columns.price[at] / price, columns.venue_time_ns[at]
        )
        yield InputRow(columns.received_time_ns[at], traded)


def _scales(entry: batch_pb2.InstrumentEntry) -> tuple[int, int]:
    return 10**entry.price_scale, 10**entry.size_scale


def _bar_values(bar: bars_pb2.Bar) -> tuple[float, ...]:
    texts = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.buy_volume, bar.quote_volume)
    return (*(float(text or "0") for text in texts), float(bar.trade_count))


def _depth(levels: Sequence[market_data_pb2.Level]) -> float:
    return sum(float(level.size) for level in levels)
