"""Conflation as a reader sees it: the last state that was sent is the true last state."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.base.cursor import Cursor, StreamKey
from kit.base.errors import ProcessDraining
from kit.marketdata.delivery.conflated_state import BookTop
from kit.marketdata.delivery.conflation import ConflatedBuffer, Conflator
from kit.marketdata.delivery.subscription import ALL_SYMBOLS, PublishedBatch, SymbolFilter
from kit.marketdata.model.batches import Batch
from kit.marketdata.model.columns import Scale
from tests.support.waiting import WAIT_SECONDS_MAX

TRADES = StreamKey("binance", types_pb2.CHANNEL_TRADES)
QUOTES = StreamKey("binance", types_pb2.CHANNEL_QUOTES)
BOOK = StreamKey("binance", types_pb2.CHANNEL_BOOK)
SYMBOLS = ("A", "B", "C")
NAMES = st.sampled_from(SYMBOLS)
WANTED = st.sampled_from([ALL_SYMBOLS, frozenset("A"), frozenset("AB")])
LONG_SECONDS = 3600.0


class Books:
    """Books as one number each: the price of their only bid. None is a book in doubt."""

    def __init__(self) -> None:
        self.prices: dict[str, int | None] = {}

    def top(self, key: StreamKey, symbol: str, depth: int) -> BookTop | None:
        price = self.prices.get(symbol)
        if price is None:
            return None
        return BookTop(Scale(2, 5), 1, price, 0, 0, [(price, 7)][:depth], [])


def publication(key: StreamKey, symbols: Iterable[str], gaps: Iterable[types_pb2.Gap] = ()):
    names = list(dict.fromkeys(symbols))
    return Batch(
        venue=key.venue,
        channel=key.channel,
        gaps=gaps,
        instruments=[
            batch_pb2.InstrumentEntry(symbol=name, price_scale=SYMBOLS.index(name), size_scale=5)
            for name in names
        ],
    ), names


def publish(key: StreamKey, batch: Batch) -> PublishedBatch:
    return PublishedBatch(key, Cursor(1, 1), batch.SerializeToString())


def quotes(rows: list[tuple[str, int]]) -> PublishedBatch:
    """Symbol and bid price of each row."""
    batch, names = publication(QUOTES, [symbol for symbol, _ in rows])
    for symbol, price in rows:
        batch.quotes.instrument.append(names.index(symbol))
        for name in ("bid_price", "bid_size", "ask_price", "ask_size", "sequence"):
            getattr(batch.quotes, name).append(price)
        batch.quotes.venue_time_ns.append(price)
        batch.quotes.received_time_ns.append(price)
    return publish(QUOTES, batch)


def trades(rows: list[tuple[str, int]], gaps: Iterable[types_pb2.Gap] = ()) -> PublishedBatch:
    """Symbol and trade id of each row."""
    batch, names = publication(TRADES, [symbol for symbol, _ in rows], gaps)
    for symbol, trade_id in rows:
        batch.trades.instrument.append(names.index(symbol))
        for name in ("price", "size", "trade_id", "venue_time_ns", "received_time_ns"):
            getattr(batch.trades, name).append(trade_id)
        batch.trades.side.append(types_pb2.SIDE_BUY)
    return publish(TRADES, batch)


def book_change(*symbols: str) -> PublishedBatch:
    """Something has changed in these books; what, the books know."""
    return publish(BOOK, publication(BOOK, symbols)[0])


def gap(symbol: str = "", before: int = 0, after: int = 0) -> types_pb2.Gap:
    reason = types_pb2.GAP_REASON_SEQUENCE
    return types_pb2.Gap(symbol=symbol, reason=reason, last_id_before=before, first_id_after=after)


def conflator(books: Books | None = None, trades_max: int = 1000) -> Conflator:
    return Conflator(books or Books(), book_depth=20, trades_max=trades_max)


def quote_rows(batches: Iterable[Batch]) -> dict[str, tuple[int, int]]:
    """Price scale and bid price by symbol."""
    seen = {}
    for batch in batches:
        for instrument, price in zip(batch.quotes.instrument, batch.quotes.bid_price, strict=True):
            entry = batch.instruments[instrument]
            assert entry.symbol not in seen
            seen[entry.symbol] = (entry.price_scale, price)
    return seen


def trade_events(batches: Iterable[Batch]) -> list[tuple[str, int | types_pb2.Gap]]:
    """Trades by their id and gaps, in the order in which a reader meets them."""
    events: list[tuple[str, int | types_pb2.Gap]] = []
    for batch in batches:
        events += [(each.symbol, each) for each in batch.gaps]
        rows = zip(batch.trades.instrument, batch.trades.trade_id, strict=True)
        events += [(batch.instruments[instrument].symbol, number) for instrument, number in rows]
        assert len(batch.trades.price) == len(batch.trades.side) == len(batch.trades.trade_id)
    return events


QUOTE_STEPS = st.lists(
    st.one_of(st.none(), st.lists(st.tuples(NAMES, st.integers(1, 99)), min_size=1, max_size=5))
)


@given(QUOTE_STEPS, WANTED)
def test_the_last_quote_seen_is_the_last_quote(steps, wanted: SymbolFilter):
    """A step is a batch of rows, or None: the reader takes."""
    reader = conflator()
    truth: dict[str, tuple[int, int]] = {}
    seen: dict[str, tuple[int, int]] = {}
    for rows in [*steps, None]:
        if rows is None:
            seen |= quote_rows(reader.take())
            assert not reader.waiting
            assert seen == truth
        else:
            reader.add(quotes(rows), wanted)
            truth |= {
                symbol: (SYMBOLS.index(symbol), price)
                for symbol, price in rows
                if not wanted or symbol in wanted
            }


TRADE_STEPS = st.lists(
    st.one_of(st.none(), st.lists(NAMES, min_size=1, max_size=4)), min_size=1, max_size=40
)


@given(TRADE_STEPS, WANTED, st.integers(1, 12))
def test_every_trade_is_sent_or_lies_in_an_overflow(steps, wanted: SymbolFilter, trades_max):
    """A step is a batch by its symbols, or None: the reader takes."""
    reader = conflator(trades_max=trades_max)
    truth: dict[str, list[int]] = {symbol: [] for symbol in SYMBOLS}
    events: list[tuple[str, int | types_pb2.Gap]] = []
    number = 0
    for step in [*steps, None]:
        if step is None:
            if reader.waiting:
                events += trade_events(reader.take())
            continue
        rows = []
        for symbol in step:
            number += 1
            rows.append((symbol, number))
            if not wanted or symbol in wanted:
                truth[symbol].append(number)
        reader.add(trades(rows), wanted)
    for symbol in SYMBOLS:
        check_events([event for name, event in events if name == symbol], truth[symbol])


def check_events(events: list[int | types_pb2.Gap], expected: list[int]) -> None:
    """Every expected id is there, or within a gap that counts it."""
    waiting = iter(expected)
    last = 0
    for event in events:
        if isinstance(event, int):
            assert event == next(waiting)
            last = event
            continue
        assert event.reason == types_pb2.GAP_REASON_OVERFLOW
        assert event.last_id_before == last
        lost = [next(waiting) for _ in range(int(event.detail.split()[0]))]
        assert not event.first_id_after or lost[-1] < event.first_id_after
    assert list(waiting) == []


def test_trades_of_one_interval_are_one_batch():
    reader = conflator()
    reader.add(trades([("A", 1), ("B", 2)]), ALL_SYMBOLS)
    reader.add(trades([("B", 3)]), ALL_SYMBOLS)
    (batch,) = reader.take()
    assert [entry.symbol for entry in batch.instruments] == ["A", "B"]
    assert list(batch.trades.instrument) == [0, 1, 1]
    assert list(batch.trades.trade_id) == [1, 2, 3]
    assert not batch.HasField("cursor")


def test_a_gap_of_trades_stays_between_the_rows_where_it_was():
    reader = conflator()
    reader.add(trades([("A", 1)]), ALL_SYMBOLS)
    reader.add(trades([("A", 5)], [gap("A", 1, 5)]), ALL_SYMBOLS)
    reader.add(trades([("A", 6)]), ALL_SYMBOLS)
    events = [event for _, event in trade_events(reader.take())]
    assert events == [1, gap("A", 1, 5), 5, 6]


def test_gaps_of_one_instrument_become_one_that_spans_them():
    reader = conflator()
    for before, after in ((1, 5), (7, 9)):
        batch, _ = publication(QUOTES, [], [gap("A", before, after), gap("B", before, after)])
        reader.add(publish(QUOTES, batch), frozenset("A"))
    (batch,) = reader.take()
    assert list(batch.gaps) == [gap("A", 1, 9)]


BOOK_STEPS = st.lists(
    st.one_of(
        st.none(),
        st.tuples(st.just("update"), NAMES, st.integers(1, 99)),
        st.tuples(st.just("gap"), st.sampled_from(["", *SYMBOLS]), st.just(0)),
        st.tuples(st.just("ready"), NAMES, st.integers(1, 99)),
    )
)


@given(BOOK_STEPS, WANTED, st.booleans())
def test_the_last_book_seen_is_the_true_one_or_known_to_be_in_doubt(steps, wanted, urgent_only):
    """None takes; with urgent_only, gaps go out as soon as they come, as in a mailbox."""
    books = Books()
    reader = conflator(books)
    view = BookView()
    for step in [*steps, None]:
        if step is None:
            view.show(reader.take())
            assert view.relied_on() == {
                symbol: price
                for symbol, price in books.prices.items()
                if price and (not wanted or symbol in wanted)
            }
        else:
            do_book_step(books, reader, wanted, *step)
        if urgent_only and reader.urgent:
            view.show(reader.take_urgent())
            assert not reader.urgent


def do_book_step(
    books: Books, reader: Conflator, wanted: SymbolFilter, kind: str, symbol: str, price: int
) -> None:
    if kind == "gap":
        books.prices.update(dict.fromkeys([symbol] if symbol else SYMBOLS))
        reader.add(publish(BOOK, publication(BOOK, [], [gap(symbol)])[0]), wanted)
        return
    books.prices[symbol] = price
    if kind == "update":
        reader.add(book_change(symbol), wanted)
    elif not wanted or symbol in wanted:
        reader.book_changed(BOOK, symbol)


class BookView:
    """The books as a reader has them."""

    def __init__(self) -> None:
        self._prices: dict[str, int | None] = {}

    def show(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            for each in batch.gaps:
                doubted = [each.symbol] if each.symbol else list(self._prices)
                self._prices.update(dict.fromkeys(doubted))
            for entry in batch.instruments:
                assert list(batch.book.snapshot) == [True]
                assert len(batch.book.price) == batch.book.bid_count[0] + batch.book.ask_count[0]
                self._prices[entry.symbol] = batch.book.price[0]

    def relied_on(self) -> dict[str, int]:
        return {symbol: price for symbol, price in self._prices.items() if price}


def batches_of(response: bytes) -> list[Batch]:
    return list(market_data_pb2.SubscribeResponse.FromString(response).batches)


async def next_of(responses) -> list[Batch]:
    return batches_of(await asyncio.wait_for(anext(responses), WAIT_SECONDS_MAX))


async def test_the_first_state_comes_at_once_and_the_next_after_the_interval(monkeypatch):
    mailbox = ConflatedBuffer(conflator(), LONG_SECONDS)
    loop = asyncio.get_running_loop()
    real_time = loop.time
    async with aclosing(mailbox.responses()) as responses:
        mailbox.offer(quotes([("A", 1)]), ALL_SYMBOLS)
        assert quote_rows(await next_of(responses)) == {"A": (0, 1)}
        for price in (2, 3, 4):
            mailbox.offer(quotes([("A", price)]), ALL_SYMBOLS)
        waiting = asyncio.ensure_future(anext(responses))
        await asyncio.wait([waiting], timeout=0.01)
        assert not waiting.done()
        monkeypatch.setattr(loop, "time", lambda: real_time() + LONG_SECONDS)
        assert quote_rows(batches_of(await waiting)) == {"A": (0, 4)}


async def test_a_gap_of_a_book_does_not_wait_for_the_interval():
    books = Books()
    mailbox = ConflatedBuffer(conflator(books), LONG_SECONDS)
    async with aclosing(mailbox.responses()) as responses:
        books.prices["A"] = 5
        mailbox.book_changed(BOOK, "A")
        (batch,) = await next_of(responses)
        assert list(batch.book.price) == [5]
        mailbox.offer(book_change("A"), ALL_SYMBOLS)
        batch, _ = publication(BOOK, [], [gap("A")])
        mailbox.offer(publish(BOOK, batch), ALL_SYMBOLS)
        (batch,) = await next_of(responses)
        assert [each.symbol for each in batch.gaps] == ["A"]
        assert not batch.instruments


async def test_nothing_is_sent_for_a_book_in_doubt():
    mailbox = ConflatedBuffer(conflator(), interval_seconds=0.001)
    async with aclosing(mailbox.responses()) as responses:
        mailbox.offer(book_change("A"), ALL_SYMBOLS)
        waiting = asyncio.ensure_future(anext(responses))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        mailbox.offer(quotes([("A", 1)]), ALL_SYMBOLS)
        assert len(batches_of(await asyncio.wait_for(waiting, WAIT_SECONDS_MAX))) == 1


async def test_an_ended_mailbox_raises_its_error():
    mailbox = ConflatedBuffer(conflator(), LONG_SECONDS)
    responses = mailbox.responses()
    mailbox.offer(quotes([("A", 1)]), ALL_SYMBOLS)
    await next_of(responses)
    mailbox.end(ProcessDraining("for the test"))
    with pytest.raises(ProcessDraining):
        await next_of(responses)


def test_the_later_row_of_a_symbol_wins_also_when_its_scale_changed():
    reader = conflator()
    batch = quotes([("A", 1), ("B", 2)]).message
    batch.instruments[1].symbol = "A"
    reader.add(publish(QUOTES, batch), ALL_SYMBOLS)
    batch.quotes.instrument[:] = [1, 0]
    assert quote_rows(reader.take()) == {"A": (1, 2)}
    reader.add(publish(QUOTES, batch), ALL_SYMBOLS)
    assert quote_rows(reader.take()) == {"A": (0, 2)}
