"""The simulated market: consistent, and the same for the same seed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.simulator.history import MINUTE_NS
from kit.simulator.market import INSTRUMENTS, SimulatedMarket
from kit.simulator.market_events import BestQuote, Instrument, LevelChange, Trade, decimal_text
from kit.simulator.market_runner import STEP_NS

OPENING_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000


class Rebuilt:
    """A book made of nothing but its events."""

    def __init__(self) -> None:
        self.sides: dict[bool, dict[int, int]] = {True: {}, False: {}}
        self.sequence = 0
        self.trade_id = 0
        self.traded: Trade | None = None

    def best(self, is_bid: bool) -> tuple[int, int]:
        levels = self.sides[is_bid]
        if not levels:
            return 0, 0
        ticks = max(levels) if is_bid else min(levels)
        return ticks, levels[ticks]

    def trade(self, event: Trade) -> None:
        assert self.trade_id in (0, event.trade_id - 1), "trade ids are consecutive"
        ticks, lots = self.best(is_bid=not event.taker_buys)
        assert event.price_ticks == ticks, "a trade happens at the best price"
        assert 0 < event.size_lots <= lots
        self.trade_id, self.traded = event.trade_id, event

    def change(self, event: LevelChange) -> None:
        assert self.sequence in (0, event.sequence - 1), "sequences are consecutive"
        side = self.sides[event.is_bid]
        if self.traded is not None:
            left = side[self.traded.price_ticks] - self.traded.size_lots
            assert (event.price_ticks, event.size_lots) == (self.traded.price_ticks, left)
            assert event.is_bid is not self.traded.taker_buys
        self.sequence, self.traded = event.sequence, None
        side[event.price_ticks] = event.size_lots
        if not event.size_lots:
            del side[event.price_ticks]

    def quote(self, event: BestQuote) -> None:
        assert event.sequence == self.sequence
        assert (event.bid_ticks, event.bid_lots) == self.best(is_bid=True)
        assert (event.ask_ticks, event.ask_lots) == self.best(is_bid=False)
        if event.bid_ticks and event.ask_ticks:
            assert event.bid_ticks < event.ask_ticks, "a book is never crossed"


@settings(max_examples=25, deadline=None)
@given(seed=st.text(max_size=8), events_per_second=st.sampled_from([50, 2_000, 50_000]))
def test_trades_books_and_quotes_agree(seed, events_per_second):
    market = SimulatedMarket(seed, OPENING_NS, events_per_second, INSTRUMENTS)
    rebuilt: dict[Instrument, Rebuilt] = {one: Rebuilt() for one in INSTRUMENTS}
    seconds = 3_000 / events_per_second
    step = market.advance(OPENING_NS + int(seconds * SECOND_NS))
    times_ns = [event.time_ns for event in step.events]
    assert times_ns == sorted(times_ns), "events are in the order of time"
    assert times_ns[-1] <= step.time_ns
    rebuild(rebuilt, step.events)
    for instrument, book in rebuilt.items():
        for is_bid in (True, False):
            levels = market.levels(instrument, is_bid, 10_000)
            assert dict(levels) == book.sides[is_bid]
            assert [ticks for ticks, _ in levels] == sorted(book.sides[is_bid], reverse=is_bid)
        assert market.sequence(instrument) == book.sequence


def rebuild(rebuilt: dict[Instrument, Rebuilt], events) -> None:
    for event in events:
        book = rebuilt.setdefault(event.instrument, Rebuilt())
        if isinstance(event, Trade):
            book.trade(event)
        elif isinstance(event, LevelChange):
            book.change(event)
        else:
            book.quote(event)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.text(max_size=4),
    does=st.lists(
        st.sampled_from(["advance", "pause", "long pause", "halt", "resume", "burst", "grain"]),
        max_size=12,
    ),
)
def test_books_stay_whole_whatever_is_done_to_the_market(seed, does):
    instruments = INSTRUMENTS[:2]
    market = SimulatedMarket(seed, OPENING_NS, 2_000, instruments)
    rebuilt: dict[Instrument, Rebuilt] = {}
    for what in [*does, "resume", "advance"]:
        if what == "pause":
            market.pause(market.time_ns + SECOND_NS)
        elif what == "long pause":
            market.pause(market.time_ns + 3_600 * SECOND_NS)
        elif what == "halt":
            market.halt(instruments[0])
        elif what == "resume":
            market.resume(instruments[0])
        elif what == "burst":
            market.burst(instruments[1], 50)
        elif what == "grain":
            market.set_grain(instruments[1], 50)
        rebuild(rebuilt, market.advance(market.time_ns + SECOND_NS // 5).events)
    for instrument in instruments:
        for is_bid in (True, False):
            levels = market.levels(instrument, is_bid, 10_000)
            assert dict(levels) == rebuilt[instrument].sides[is_bid]
        assert market.sequence(instrument) == rebuilt[instrument].sequence


def test_after_a_long_pause_a_market_is_where_one_that_never_paused_is():
    end_ns = OPENING_NS + 6 * 3_600 * SECOND_NS
    paused = SimulatedMarket("5", OPENING_NS, 2_000, INSTRUMENTS[:1])
    paused.advance(OPENING_NS + SECOND_NS)
    paused.pause(end_ns)
    paused.advance(end_ns + SECOND_NS)
    ((bid, _),) = paused.levels(INSTRUMENTS[0], True, 1)
    fair_ticks = paused.fair_price(INSTRUMENTS[0], end_ns + SECOND_NS) * 100
    assert bid == pytest.approx(fair_ticks, rel=2e-4)
    assert bid != pytest.approx(paused.fair_price(INSTRUMENTS[0], OPENING_NS) * 100, rel=2e-4)


def test_markets_of_one_world_trade_around_the_same_prices():
    spot = Instrument("BTC", "USDT", 2, 5, 1, 61_800.0, 0.05, 0.030, 4.0)
    inverse = Instrument("BTC", "USD", 1, 0, 5, 61_800.0, 3_000.0, 0.030, 4.0, lot_units=10)
    markets = [
        SimulatedMarket(f"1/{one.quote}", OPENING_NS, 500, [one], price_seed="1")
        for one in (spot, inverse)
    ]
    fair = [market.fair_price(market.instruments[0], OPENING_NS) for market in markets]
    assert fair[0] == fair[1]
    sizes = {lots for _, lots in markets[1].levels(inverse, True, 400)}
    texts = {inverse.size_text(lots) for lots in sizes}
    assert all(int(text) % 10 == 0 for text in texts)


def test_the_same_seed_gives_the_same_market_in_steps_of_any_length():
    markets = [SimulatedMarket("7", OPENING_NS, 500, INSTRUMENTS) for _ in range(2)]
    end_ns = OPENING_NS + 4 * SECOND_NS
    whole = list(markets[0].advance(end_ns).events)
    pieces = []
    for time_ns in range(OPENING_NS + STEP_NS, end_ns + 1, STEP_NS):
        pieces += markets[1].advance(time_ns).events
    assert len(whole) > 2_000
    assert whole == pieces
    other = SimulatedMarket("8", OPENING_NS, 500, INSTRUMENTS).advance(end_ns).events
    assert whole != list(other)


@pytest.mark.parametrize("events_per_second", [200, 5_000])
def test_the_rate_is_about_what_was_asked_for(events_per_second):
    market = SimulatedMarket("1", OPENING_NS, events_per_second, INSTRUMENTS)
    market.advance(OPENING_NS)
    seconds = 10_000 // events_per_second
    events = market.advance(OPENING_NS + seconds * SECOND_NS).events
    counts = Counter(type(event) for event in events)
    assert counts[Trade] + counts[BestQuote] == pytest.approx(10_000, rel=0.15)
    assert counts[Trade] > 2_000


def test_books_stay_deep_and_spreads_narrow():
    market = SimulatedMarket("3", OPENING_NS, 2_000, INSTRUMENTS)
    spreads = []
    for second in range(1, 31):
        market.advance(OPENING_NS + second * SECOND_NS)
        (bid, _), (ask, _) = (market.levels(INSTRUMENTS[0], side, 1)[0] for side in (True, False))
        spreads.append((ask - bid) / bid)
    assert sorted(spreads)[len(spreads) // 2] < 1e-4
    for instrument in INSTRUMENTS:
        for is_bid in (True, False):
            assert 50 < len(market.levels(instrument, is_bid, 10_000)) < 1_000


def test_minutes_before_the_opening_lead_to_it():
    market = SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS)
    minutes = market.minutes(INSTRUMENTS[0], 0, OPENING_NS)
    starts = [minute.start_ns for minute in minutes]
    assert starts == list(range(starts[0], OPENING_NS - OPENING_NS % MINUTE_NS, MINUTE_NS))
    for minute in minutes:
        assert minute.low <= min(minute.open, minute.close)
        assert minute.high >= max(minute.open, minute.close)
    assert market.minutes(INSTRUMENTS[0], OPENING_NS, OPENING_NS + 1) == []
    bid = market.levels(INSTRUMENTS[0], True, 1)[0][0] / 100
    assert float(minutes[-1].close) == pytest.approx(bid, rel=0.01)


def test_a_restarted_market_goes_on_at_the_same_price_with_new_ids():
    before = SimulatedMarket("1", OPENING_NS, 200, INSTRUMENTS)
    before.advance(OPENING_NS + SECOND_NS)
    after = SimulatedMarket("1", OPENING_NS + SECOND_NS, 200, INSTRUMENTS)
    prices = [one.levels(INSTRUMENTS[0], True, 1)[0][0] for one in (before, after)]
    assert prices[0] == pytest.approx(prices[1], rel=1e-3)
    assert after.sequence(INSTRUMENTS[0]) > before.sequence(INSTRUMENTS[0])


@pytest.mark.parametrize(
    ("units", "scale", "text"),
    [(6183763, 2, "61837.63"), (5, 2, "0.05"), (7, 0, "7"), (0, 3, "0.000")],
)
def test_decimal_text(units, scale, text):
    assert decimal_text(units, scale) == text
