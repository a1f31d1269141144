"""Regimes: planted ones are found, and the filter is the formula of the forward algorithm."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.features.evaluator import Evaluator
from kit.features.indicators import close, log_return
from kit.features.regimes import RegimeState, regime, volatility_regime
from kit.features.tests.test_features import bar, values

STAYS, CERTAINTY = 0.998, 0.95
CALM_AND_STORMY = (RegimeState(0.0, 1.0), RegimeState(0.0, 3.0))
MODELS = {
    "volatility of two states": CALM_AND_STORMY,
    "volatility of three states": (*CALM_AND_STORMY, RegimeState(0.0, 9.0)),
    "down, flat, up": (RegimeState(-1.0, 1.0), RegimeState(0.0, 1.0), RegimeState(1.0, 1.0)),
}
NUMBERS = st.lists(st.floats(-30, 30), min_size=1, max_size=40)
SWITCHES, BARS_MIN, BARS_MAX = 20, 300, 700


def planted(states, chance):
    """Values, and the number of the state of each."""
    number, found = 0, []
    for _ in range(SWITCHES):
        number = chance.choice([one for one in range(len(states)) if one != number])
        mean, deviation = states[number]
        length = chance.randint(BARS_MIN, BARS_MAX)
        found += [(chance.gauss(mean, deviation), number) for _ in range(length)]
    return zip(*found, strict=True)


def switches(numbers):
    """Each bar whose state is not that of the bar before, and its state."""
    before = (None, *numbers[:-1])
    found = enumerate(zip(before, numbers, strict=True))
    return [(place, new) for place, (old, new) in found if old != new]


def judged(seen, true_states):
    """How many bars each planted switch was found late, and how many switches were not planted."""
    wanted = switches(true_states)
    ends = [*(place for place, _ in wanted[1:]), len(seen)]
    delays, wrong = [], 0
    for (begin, number), end in zip(wanted, ends, strict=True):
        right = [place for place in range(begin, end) if seen[place] == number]
        delays.append(min(right, default=end) - begin)
        found = [one for place, one in switches(seen) if begin <= place < end and one is not None]
        wrong += len(found) - min(found.count(number), 1)
    return delays, wrong


def forward(numbers, states, number):
    """The probability of a state after the last of the numbers, with plain densities."""
    count = len(states)
    leaves = (1 - STAYS) / (count - 1)
    held = [1 / count] * count
    for value in numbers:
        mixed = [
            sum(held[other] * (STAYS if other == one else leaves) for other in range(count))
            for one in range(count)
        ]
        # Student's t with four degrees of freedom has twice the variance of its scale.
        scales = [state.deviation / math.sqrt(2) for state in states]
        densities = [
            (1 + ((value - state.mean) / scale) ** 2 / 4) ** -2.5 / scale
            for state, scale in zip(states, scales, strict=True)
        ]
        joint = [one * density for one, density in zip(mixed, densities, strict=True)]
        held = [one / sum(joint) for one in joint]
    return held[number]


@pytest.mark.parametrize("states", MODELS.values(), ids=MODELS)
def test_planted_switches_are_found_within_50_bars(states):
    delays, wrong, bars = [], 0, 0
    for seed in range(10):
        numbers, true_states = planted(states, random.Random(seed))
        seen = values(regime(close, states).state, map(bar, numbers))
        late, more_wrong = judged(seen, true_states)
        delays, wrong, bars = delays + late, wrong + more_wrong, bars + len(numbers)
    assert len(delays) == 10 * SWITCHES
    # One in a hundred may have begun with values that are likely in both states.
    assert sorted(delays)[len(delays) * 99 // 100 - 1] <= 50
    assert max(delays) <= 100
    assert wrong / bars < 1 / 1_000


@pytest.mark.parametrize("seed", range(4))
def test_planted_volatility_of_a_price_is_found(seed):
    numbers, true_states = planted(CALM_AND_STORMY, random.Random(seed))
    price, bars = 100.0, []
    for number in numbers:
        price *= math.exp(number * 1e-4)
        bars.append(bar(price))
    seen = values(volatility_regime().state, bars)
    known = next(place for place, one in enumerate(seen) if one is not None)
    delays, wrong = judged(seen[known:], true_states[known:])
    assert sorted(delays)[len(delays) // 2] <= 50
    assert wrong / len(numbers) < 1 / 1_000


@given(NUMBERS)
def test_probabilities_are_those_of_the_forward_algorithm(numbers):
    for states in MODELS.values():
        found = regime(close, states)
        for number, probability in enumerate(found.probabilities):
            expected = forward(numbers, states, number)
            assert values(probability, map(bar, numbers))[-1] == pytest.approx(expected, abs=1e-12)


@given(NUMBERS)
def test_later_bars_change_no_earlier_value_and_a_restart_none(numbers):
    found = regime(close, CALM_AND_STORMY)
    expressions = [found.state, *found.probabilities]
    together = Evaluator(expressions)
    expected = [together.update(bar(number)) for number in numbers]
    one_by_one = Evaluator(expressions)
    for place, number in enumerate(numbers):
        saved = msgspec.msgpack.decode(msgspec.msgpack.encode(one_by_one.save()))
        one_by_one = Evaluator(expressions)
        one_by_one.restore(saved)
        assert one_by_one.update(bar(number)) == expected[place]


def test_a_state_is_kept_until_another_one_is_certain():
    stormy = [0.0] * 30 + [12.0] + [0.0] * 5 + [6.0, -6.0] * 5
    found = regime(close, CALM_AND_STORMY)
    states = values(found.state, map(bar, stormy))
    calm, storm = (values(one, map(bar, stormy)) for one in found.probabilities)
    first = states.index(0)
    assert states[:first] == [None] * first
    assert first == next(place for place, one in enumerate(calm) if one >= CERTAINTY)
    # One outlier is not a new regime; the probability moves nevertheless.
    assert storm[30] > storm[29]
    assert set(states[first : first + 30]) == {0}
    changed = states.index(1)
    assert 0.5 < storm[changed - 1] < CERTAINTY <= storm[changed]
    assert values(found.is_in(1), map(bar, stormy))[first:] == [one == 1 for one in states[first:]]


def test_a_value_far_from_all_states_is_no_error():
    expected = values(regime(close, CALM_AND_STORMY).probabilities[1], [bar(1e9)])
    for far in (1e99, -1e99, 1e60):
        found = values(regime(close, CALM_AND_STORMY).probabilities[1], [bar(far)])
        assert found == [pytest.approx(expected[0])]


def test_an_unknown_value_leaves_the_state():
    found = values(regime(log_return(), CALM_AND_STORMY).state, map(bar, [1.0, *[1.0] * 30, -1.0]))
    assert (found[0], found[30], found[31]) == (None, 0, None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"states": CALM_AND_STORMY[:1]}, "1 states; allowed are 2 to 4"),
        ({"states": [CALM_AND_STORMY[0]] * 2}, "two states are equal"),
        ({"states": [(0.0, 1.0), (math.nan, 1.0)]}, "a mean of nan"),
        ({"states": [(0.0, 1.0), (0.0, 0.0)]}, "a deviation of 0.0; allowed are 1e-50 to 1e50"),
        ({"stays": 1.0}, "stays is 1.0; allowed: above 0.5, below 1"),
        ({"certainty": 0.5}, "certainty is 0.5; allowed: above 0.5, below 1"),
    ],
)
def test_a_wrong_model_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        regime(**{"source": close, "states": CALM_AND_STORMY, **changes})


def test_a_state_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no state 2; allowed are 0 to 1"):
        regime(close, CALM_AND_STORMY).is_in(2)
