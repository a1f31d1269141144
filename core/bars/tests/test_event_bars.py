import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bars.bar_kinds import BarKind, BarSpec
from core.bars.event_bars import InstrumentEventBars
from core.bars.tests.market import MONDAY_NS, SECOND_NS, Trade, batch
from core.bars.tests.memory import MemoryVenue
from core.bars.tests.naive_events import naive_events
from kit.marketdata.model.columns import Scale

T = MONDAY_NS + 86_000 * SECOND_NS
"""Some minutes before midnight."""
KINDS = ("tick:3", "volume:40", "value:350", "imbalance:8", "runs:8", "range:0.04", "renko:0.02")


@st.composite
def _markets(draw) -> list[Trade]:
    """Trades of a wandering price around midnight, a few of them out of order but in time."""
    source = random.Random(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 120))
    lean = draw(st.sampled_from([0.2, 0.5, 0.9]))
    sides = draw(st.sampled_from([(1, 2), (0,), (0, 1, 2)]))
    price, trades = 1000, []
    for number in range(1, count + 1):
        price += source.choice([-3, -1, 0, 0, 1, 3]) * source.choice([1, 1, 4])
        side = 1 if source.random() < lean else 2
        trades.append(
            Trade(
                number,
                T + number * 10 * SECOND_NS // 2 + source.randint(0, SECOND_NS),
                price=price,
                size=source.randint(0, 30_000),
                side=side if side in sides else source.choice(sides),
                symbol="BTCUSDT",
            )
        )
    return sorted(trades, key=lambda trade: trade.id + source.choice([0, 0, 1.5]))


def _fed(trades: list[Trade], source: random.Random) -> MemoryVenue:
    memory = MemoryVenue(lateness_ns=20 * SECOND_NS, kinds=KINDS)
    rest = list(trades)
    while rest:
        length = source.choice([1, 2, 5, len(rest)])
        memory.take(batch(rest[:length]))
        del rest[:length]
        if source.random() < 0.5:
            memory.roll_up(kept_ns=0)
        if source.random() < 0.2:
            _restart(memory)
    last = max(trade.time_ns for trade in trades)
    memory.take(batch([Trade(1, last + 2 * 86_400 * SECOND_NS, symbol="LATER")]))
    memory.roll_up()
    return memory


def _restart(memory: MemoryVenue) -> None:
    """As after a kill: only what was dumped is known."""
    for instrument in memory.venue.instruments.values():
        dumped = json.loads(json.dumps(instrument.events.dump()))
        instrument.events = InstrumentEventBars([BarSpec.parse(text) for text in KINDS])
        instrument.events.load(dumped)


@given(_markets(), st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_final_bars_equal_the_obvious_computation_however_the_stream_is_cut(trades, source) -> None:
    found = _fed(trades, source).events
    expected = naive_events(trades, KINDS)
    assert {key: bar for key, (bar, _) in found.items()} == expected
    assert all(final for _, final in found.values())


@given(_markets())
@settings(max_examples=20)
def test_open_bars_include_all_trades_so_far(trades) -> None:
    memory = MemoryVenue(lateness_ns=200 * SECOND_NS, kinds=KINDS).take(batch(trades))
    memory.roll_up()
    (instrument,) = memory.venue.instruments.values()
    ended = {key: bar for key, (bar, final) in memory.events.items() if final}
    open_bars = instrument.events.open_bars(instrument.scale)
    assert not any(event.bar.final for event in open_bars)
    keys = {("BTCUSDT", event.interval, event.bar.day_ns, event.bar.number) for event in open_bars}
    assert not keys & set(ended)
    assert keys | set(ended) == set(naive_events(trades, KINDS))


def test_a_trade_is_not_split_and_the_bar_ends_with_it() -> None:
    trades = [Trade(n, T + n * SECOND_NS, size=25_000) for n in range(1, 5)]
    found = _fed(trades, random.Random(1)).events
    volumes = [found["BTCUSDT", "volume:40", MONDAY_NS, n][0].volume for n in (0, 1)]
    assert volumes == [50, 50]


def test_a_price_that_jumps_over_bricks_ends_one_bar() -> None:
    prices = [1000, 1001, 1007, 1008, 1005, 1004, 1003, 1000]
    trades = [Trade(n, T + n, price=price) for n, price in enumerate(prices, 1)]
    found = _fed(trades, random.Random(1)).events
    closes = [
        int(bar.close * 100)
        for (_, interval, _, _), (bar, _) in sorted(found.items())
        if interval == "renko:0.02"
    ]
    # Bricks end at 1006, then at 1008; two bricks back is 1004, and then one at 1002 and 1000.
    assert closes == [1007, 1008, 1004, 1000]


def test_late_trade_marks_its_day_for_rebuild() -> None:
    memory = MemoryVenue(kinds=KINDS)
    memory.take(batch([Trade(1, T), Trade(3, T + 60 * SECOND_NS)]))
    memory.roll_up()
    before = dict(memory.events)
    memory.take(batch([Trade(2, T + SECOND_NS)]))
    memory.roll_up()
    events = memory.venue.instruments["BTCUSDT"].events
    assert memory.events == before
    assert events.wanted == {MONDAY_NS: {memory.venue.trades_key: memory.venue.position}}
    _restart(memory)
    assert memory.venue.instruments["BTCUSDT"].events.wanted == events.wanted


def test_new_kind_rebuilds_the_current_day() -> None:
    memory = MemoryVenue(kinds=("tick:3",))
    memory.take(batch([Trade(1, T), Trade(3, T + 60 * SECOND_NS)]))
    memory.roll_up()
    dumped = json.loads(json.dumps(memory.venue.instruments["BTCUSDT"].events.dump()))
    events = InstrumentEventBars([BarSpec.parse("tick:3"), BarSpec.parse("tick:5")])
    events.load(dumped)
    assert events.late_days == {MONDAY_NS}
    known = InstrumentEventBars([BarSpec.parse("tick:3")])
    known.load(dumped)
    assert not known.late_days


def test_sizes_beyond_the_decimals_of_the_market_are_exact() -> None:
    spec = BarSpec.parse("volume:0.00005")
    assert (spec.at_scale(5), spec.at_scale(7), spec.at_scale(4)) == (5, 500, 1)
    assert InstrumentEventBars([spec, BarSpec.parse("range:0.125")]).places == Scale(3, 5)


@pytest.mark.parametrize("text", [*KINDS, "volume:0.5", "tick:100"])
def test_a_kind_is_written_in_one_way(text) -> None:
    assert BarSpec.parse(text).text == text


@pytest.mark.parametrize(
    "text",
    ["", "tick", "tick:", "tick:0", "tick:1.5", "tick:05", "volume:5.0", "volume:-1", "1m", "x:1"],
)
def test_invalid_kind_is_rejected(text) -> None:
    with pytest.raises(ValueError, match=r"kind|size"):
        BarSpec.parse(text)


def test_every_kind_is_tried() -> None:
    assert {text.partition(":")[0] for text in KINDS} == set(BarKind)
