"""From bars to signals."""

import random
from decimal import Decimal

import msgspec
import pytest
from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import signals_pb2

from kit.events.event_log import encoded
from kit.features.indicators import close, ema, momentum, previous, trade_flow
from kit.features.regimes import RegimeState, regime
from kit.strategy.strategy import Exit, PositionSize, Rule, Synthesis
from kit.strategy.tests.market import (
    BEGIN_NS,
    BTCUSDT,
    SECOND_NS,
    bar,
    crossing,
    instance,
    strategy,
)

FLAT, LONG, SHORT = Decimal(0), Decimal("0.5"), Decimal("-0.5")
OPEN, CLOSE = signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_CLOSE
REDUCE, FLIP = signals_pb2.POSITION_ACTION_REDUCE, signals_pb2.POSITION_ACTION_FLIP
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
WAVE = [100, 101, 103, 104, 103, 101, 99, 97, 96, 97, 99, 102, 104, 105, 103, 100]


def signals(of, bars, position=FLAT):
    found = (of.update(one, position) for one in bars)
    return [event.signal_raised for event in found if event is not None]


def numbers(found):
    return [(signal.bar.open_time_ns - BEGIN_NS) // SECOND_NS for signal in found]


def wave(count):
    return [bar(number, WAVE[number % len(WAVE)]) for number in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_a_restart_after_each_bar_gives_the_same_bytes(seed):
    source, raised = random.Random(seed), set()
    half = Exit(name="half", condition=trade_flow > 0, fraction="0.5")
    of = crossing(flips=seed % 2 == 1, exits=(half, *crossing().exits))
    uninterrupted, restored = instance(of), instance(of)
    for number in range(200):
        saved, restored = restored.save(), instance(of)
        restored.restore(saved)
        one = bar(number, 100.0 + source.randrange(20))
        position = source.choice([FLAT, FLAT, LONG, SHORT])
        first, second = uninterrupted.update(one, position), restored.update(one, position)
        assert (first and encoded(first)) == (second and encoded(second))
        raised.add(first and first.signal_raised.action)
    assert raised == {None, OPEN, CLOSE, REDUCE, *([FLIP] if of.flips else [])}


def test_prices_that_go_up_and_down_raise_signals_of_each_kind():
    of, position, found, source = instance(crossing()), FLAT, [], random.Random(1)
    for number in range(400):
        event = of.update(bar(number, 100.0 + source.randrange(20)), position)
        if event is not None:
            found.append((event.signal_raised.action, event.signal_raised.side))
            is_open = event.signal_raised.action == OPEN
            long = event.signal_raised.side == types_pb2.SIDE_BUY
            position = (LONG if long else SHORT) if is_open else FLAT
    assert set(found) == {
        (OPEN, types_pb2.SIDE_BUY),
        (OPEN, types_pb2.SIDE_SELL),
        (CLOSE, types_pb2.SIDE_BUY),
        (CLOSE, types_pb2.SIDE_SELL),
    }


def test_a_signal_says_what_it_rests_on():
    event = instance(strategy(regime="any")).update(bar(7), FLAT)
    signal = event.signal_raised
    assert (event.source, event.instance, event.lifecycle_id) == (
        "detector",
        "always",
        event.event_id,
    )
    assert event.time_ns == bar(7).close_time_ns
    assert signal.expires_time_ns == event.time_ns + SECOND_NS
    assert event.config_hash.hex() == signal.strategy_version == "ab" * 32
    (cursor,) = event.inputs
    assert (cursor.venue, cursor.symbol, cursor.interval) == (*BTCUSDT, "1s")
    assert (cursor.open_time_ns, cursor.revision) == (BEGIN_NS + 7 * SECOND_NS, 0)
    assert signal.bar == bar(7)
    assert (signal.venue, signal.symbol, signal.account) == (*BTCUSDT, "paper")
    assert (signal.request.notional, signal.request.stop_distance) == ("25", "1")
    assert (signal.score, signal.conviction, signal.position_size) == (1.0, 1.0, "0")
    (rule,) = signal.rules
    values = [(one.expression, one.value) for one in rule.values]
    assert values == [("(0 < close)", 1.0), ("close", 100.0)]


def test_each_bar_and_each_version_has_an_event_id_of_its_own():
    of = instance(strategy())
    ids = [of.update(bar(number), FLAT).event_id for number in range(3)]
    assert len({*ids, instance(strategy(name="other")).update(bar(0), FLAT).event_id}) == 4
    assert instance(strategy()).update(bar(1), FLAT).event_id == ids[1]


UNKNOWN = previous(close, 50)


@pytest.mark.parametrize(
    "changes",
    [
        {"rules": (Rule(name="a", condition=UNKNOWN > 1),)},
        {"rules": (Rule(name="a", condition=close > 0), Rule(name="b", condition=UNKNOWN > 1))},
        {"rules": (Rule(name="a", condition=lambda bar: None),)},
        {
            "rules": (
                Rule(name="a", condition=close > 0),
                Rule(name="b", condition=UNKNOWN > 1, veto=True),
            )
        },
        {"position": PositionSize(notional="25", stop_distance=UNKNOWN)},
        {
            "position": PositionSize(
                notional="25", stop_distance=close, target_distance=close - UNKNOWN
            )
        },
        {"position": PositionSize(notional="25", stop_distance=close - 1000)},
        {"position": PositionSize(notional="25", stop_distance=close, trailing_distance=UNKNOWN)},
    ],
)
def test_what_is_not_known_raises_no_signal(changes):
    assert signals(instance(strategy(**changes)), wave(16)) == []
    assert signals(instance(strategy()), wave(16))


def test_signal_asks_for_the_distances_of_the_strategy_only():
    size = PositionSize(notional="25", stop_distance=close * 2, trailing_distance=close * 0.5)
    (raised, *_) = signals(instance(strategy(position=size)), wave(16))
    request = raised.request
    assert float(request.stop_distance) == 4 * float(request.trailing_distance) > 0
    assert request.target_distance == ""


def test_a_smaller_quorum_lets_the_others_speak():
    rules = (Rule(name="a", condition=close > 0), Rule(name="b", condition=UNKNOWN > 1))
    (signal,) = signals(instance(strategy(rules=rules, quorum=0.5)), wave(1))
    assert [rule.HasField("score") for rule in signal.rules] == [True, False]
    assert signal.score == 1.0


def test_an_exit_that_is_not_known_closes_nothing():
    exits = (Exit(name="a", condition=UNKNOWN > 1),)
    assert signals(instance(strategy(exits=exits)), wave(16), LONG) == []


def test_a_veto_forbids_opening_but_no_closing():
    rules = (Rule(name="a", condition=close > 0), Rule(name="b", condition=close > 0, veto=True))
    exits = (Exit(name="over", condition=close > 0),)
    assert signals(instance(strategy(rules=rules)), wave(3)) == []
    (signal,) = signals(instance(strategy(rules=rules, exits=exits)), wave(1), LONG)
    assert signal.action == CLOSE
    assert [rule.is_veto for rule in signal.rules] == [False, True, False]


@pytest.mark.parametrize(
    "flaw",
    [
        {"covered_ns": SECOND_NS - 1},
        {"revision": 1},
        {"source": bars_pb2.BAR_SOURCE_VENUE_CANDLE, "covered_ns": 0},
    ],
)
def test_an_incomplete_bar_raises_nothing_unless_the_strategy_wants_it(flaw):
    exits = (Exit(name="over", condition=close > 0),)
    for position in (FLAT, LONG):
        assert signals(instance(strategy(exits=exits)), [bar(0, **flaw)], position) == []
        willing = instance(strategy(exits=exits, acts_on_incomplete_bars=True))
        assert len(signals(willing, [bar(0, **flaw)], position)) == 1
    assert instance(strategy()).explain(bar(0, **flaw)).abstains_because


def test_averages_see_incomplete_bars():
    rules = (Rule(name="a", condition=ema(3) > 0),)
    bars = [bar(0), bar(1, covered_ns=1), bar(2), bar(3)]
    found = signals(instance(strategy(rules=rules)), bars)
    assert [one.bar.open_time_ns for one in found] == [bar(2).open_time_ns, bar(3).open_time_ns]


def test_no_position_is_opened_while_the_cooldown_or_the_signal_before_lasts():
    of = strategy(cooldown_s=4, expiry_s=2)
    assert numbers(signals(instance(of), wave(9))) == [0, 4, 8]
    of = strategy(cooldown_s=0, expiry_s=3)
    assert numbers(signals(instance(of), wave(7))) == [0, 3, 6]


def test_a_close_is_asked_for_again_when_the_one_before_has_expired():
    exits = (Exit(name="over", condition=close > 0),)
    of = strategy(exits=exits, expiry_s=3)
    found = signals(instance(of), wave(7), SHORT)
    assert [one.side for one in found] == [types_pb2.SIDE_BUY] * 3


def test_a_position_is_closed_at_once_after_it_was_opened():
    exits = (Exit(name="over", condition=close > 0),)
    of = instance(strategy(exits=exits, expiry_s=60))
    assert of.update(bar(0), FLAT).signal_raised.action == OPEN
    assert of.update(bar(1), LONG).signal_raised.action == CLOSE


def partial(name="half", fraction="0.5", **fields):
    return Exit(name=name, condition=close > 101, fraction=fraction, **fields)


def test_partial_exit_reduces_each_position_once():
    of = instance(strategy(exits=(partial(), partial("third", "0.30"))))
    held = [(LONG, [100, 102, 103, 104]), (FLAT, [104]), (LONG, [104])]
    found = [
        one
        for first, (position, prices) in zip((0, 4, 5), held, strict=True)
        for one in followed(of, prices, position, first)
    ]
    wanted = [(one.action, one.side, one.request.reduce_fraction) for one in found]
    assert wanted == [
        (REDUCE, SELL, "0.5"),
        (REDUCE, SELL, "0.30"),
        (OPEN, BUY, ""),
        (REDUCE, SELL, "0.5"),
    ]
    # The other exit is true too; it has not reduced the position yet.
    assert [(one.rule, one.score) for one in found[0].rules[1:]] == [("half", -1), ("third", 0)]


def followed(of, prices, position, first=0):
    """The signals on bars; ``first``: number of the first one."""
    bars = [bar(number, price) for number, price in enumerate(prices, first)]
    return signals(of, bars, position)


def test_partial_exit_of_one_side_leaves_the_other_side():
    of = instance(strategy(exits=(partial(closes="short"),)))
    assert followed(of, [103], LONG) == []
    (reduced,) = followed(of, [103], SHORT, 1)
    assert (reduced.action, reduced.side) == (REDUCE, BUY)


def test_exit_of_the_whole_position_comes_before_a_partial_one():
    exits = (partial(), Exit(name="over", condition=close > 101))
    (signal,) = followed(instance(strategy(exits=exits)), [103], LONG)
    assert (signal.action, signal.request.reduce_fraction) == (CLOSE, "")
    assert [(one.rule, one.score) for one in signal.rules[1:]] == [("half", 0), ("over", -1)]


FALLING = (Rule(name="falls", condition=close < 100, score=-1.0),)
OVER = (Exit(name="over", condition=close > 0),)


def test_score_for_the_other_side_flips_a_position():
    of = instance(strategy(rules=FALLING, exits=OVER, flips=True))
    (flipped,) = followed(of, [99], LONG)
    assert (flipped.action, flipped.side, flipped.score) == (FLIP, SELL, -1.0)
    assert (flipped.request.notional, flipped.request.stop_distance) == ("25", "0.99")
    (closed,) = followed(of, [99], SHORT, 1)
    assert (closed.action, closed.side) == (CLOSE, BUY)


@pytest.mark.parametrize(
    "changes",
    [
        {"flips": False},
        {"rules": (Rule(name="rises", condition=close < 100),)},
        {"rules": (*FALLING, Rule(name="never", condition=close > 0, veto=True))},
        {"position": PositionSize(notional="25", stop_distance=UNKNOWN)},
    ],
)
def test_position_that_may_not_be_flipped_is_closed_by_its_exits(changes):
    of = instance(strategy(**{"rules": FALLING, "exits": OVER, "flips": True, **changes}))
    (signal,) = followed(of, [99], LONG)
    assert signal.action == CLOSE


def test_flip_waits_for_the_cooldown_and_for_the_flip_before():
    of = instance(strategy(rules=FALLING, flips=True, cooldown_s=4, expiry_s=2))
    assert [one.action for one in followed(of, [99], FLAT)] == [OPEN]
    assert numbers(followed(of, [99] * 8, LONG, 1)) == [4, 8]
    of = instance(strategy(rules=FALLING, exits=OVER, flips=True, expiry_s=3))
    # A close would replace the flip that is on its way.
    assert [one.action for one in followed(of, [99, 101, 101, 101], LONG)] == [FLIP, CLOSE]


def test_signals_that_enter_say_how_a_language_model_is_asked():
    asked = Synthesis(answer_max_ms=700, conviction_max=0.25, opposing_blocks=True)
    of = instance(strategy(rules=FALLING, exits=OVER, flips=True, synthesis=asked))
    entry, flip = *followed(of, [99], FLAT), *followed(of, [99], LONG, 1)
    assert [entry.action, flip.action] == [OPEN, FLIP]
    for signal in (entry, flip):
        assert signal.synthesis == signals_pb2.SynthesisRequest(
            answer_max_ms=700, conviction_max=0.25, opposing_blocks=True
        )
    (exit_,) = followed(of, [101], LONG, 2)
    assert exit_.action == CLOSE
    assert not exit_.HasField("synthesis")
    (unasked,) = followed(instance(strategy()), [101], FLAT)
    assert not unasked.HasField("synthesis")


@pytest.mark.parametrize(
    "changes",
    [{"answer_max_ms": 0}, {"answer_max_ms": 60_001}, {"answer_max_ms": 0.5}]
    + [{"conviction_max": number} for number in (-0.1, 1.1, float("nan"))],
)
def test_language_model_is_not_asked_without_bounds(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Synthesis(**changes)


def test_position_of_a_flip_is_closed_before_its_signal_has_expired():
    of = instance(strategy(rules=FALLING, exits=OVER, flips=True, expiry_s=60))
    assert [one.action for one in followed(of, [99, 101], LONG)] == [FLIP]
    assert [one.action for one in followed(of, [99], SHORT, 2)] == [CLOSE]


def test_state_of_a_detector_that_knew_no_partial_exits_is_read():
    of = instance(strategy(exits=(partial(),)))
    followed(of, [100], FLAT)
    older = msgspec.msgpack.encode(msgspec.msgpack.decode(of.save())[:6])
    restored = instance(strategy(exits=(partial(),)))
    restored.restore(older)
    (signal,) = signals(restored, [bar(1, 103)], LONG)
    assert signal.action == REDUCE


def test_scores_are_weighted_and_numbers_count_as_they_are():
    rules = (
        Rule(name="flow", condition=trade_flow, weight=3.0),
        Rule(name="down", condition=close > 0, score=-0.5),
    )
    of = instance(strategy(rules=rules, threshold=0.01))
    found = of.update(bar(2, buy_volume="2.25"), FLAT).signal_raised
    assert found.score == pytest.approx((3 * 0.5 - 0.5) / 4)
    assert found.side == types_pb2.SIDE_BUY


@pytest.mark.parametrize(("number", "score"), [(7.0, 1.0), (0.75, 0.75), (-7.0, -1.0)])
def test_the_number_of_a_rule_counts_as_at_most_one(number, score):
    of = instance(strategy(rules=(Rule(name="number", condition=0 * close + number),)))
    assert of.update(bar(0), FLAT).signal_raised.score == score


def test_a_regime_forbids_opening_and_is_kept_over_restarts():
    volatility = regime(momentum(1), (RegimeState(0.0, 1.0), RegimeState(0.0, 9.0)))
    rules = (
        Rule(name="up", condition=close > 0),
        Rule(name="stormy", condition=volatility.is_in(1), veto=True),
    )
    prices = [100.0 + number % 2 for number in range(60)]
    prices += [100.0 + 20.0 * (number % 2) for number in range(20)]
    of, opened = instance(strategy(rules=rules)), []
    for number, price in enumerate(prices):
        saved, of = of.save(), instance(strategy(rules=rules))
        of.restore(saved)
        opened.append(of.update(bar(number, price), FLAT) is not None)
    first = opened.index(True)
    assert not any(opened[:first])
    assert 1 <= first < 50
    assert all(opened[first:60])
    assert not any(opened[70:])


def test_a_state_that_cannot_be_read_is_refused():
    for saved in (b"", b"\xc1", instance(crossing()).save()):
        with pytest.raises(ValueError, match=r".+"):
            instance(strategy()).restore(saved)


def test_an_explanation_tells_every_rule_and_why_nothing_is_opened():
    of = instance(crossing())
    assert of.explain(None).abstains_because == "no bar has been seen yet"
    of.update(bar(0), FLAT)
    found = of.explain(bar(0))
    assert [rule.rule for rule in found.rules] == ["up", "down", "flow", "high"]
    assert [rule.rule for rule in found.exits] == ["long_over", "short_over"]
    assert found.score is None
    assert found.abstains_because == "the veto 'high' is not known"
