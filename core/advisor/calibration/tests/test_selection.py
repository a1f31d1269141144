"""The chosen map is better than the identity where convictions are miscalibrated."""

import pytest

from core.advisor.calibration.fitting import OutcomeSeries
from core.advisor.calibration.maps import IdentityMap
from core.advisor.calibration.selection import (
    OUTCOMES_MIN,
    MapKind,
    held_out_probabilities,
    select,
)
from core.advisor.calibration.tests.planted import FAMILIES, expected_loss, planted


@pytest.mark.parametrize(
    ("family", "count"),
    [(family, 400) for family in FAMILIES]
    + [("overconfident", 1_000), ("a step", 1_000), ("flat in the middle", 1_000)],
)
def test_the_chosen_map_has_less_loss_than_the_identity_in_95_of_100_seeds(family, count):
    """Loss on endless further outcomes of the same truth, so that the figure has no noise."""
    truth = FAMILIES[family]
    identity = expected_loss(IdentityMap(), truth)
    found = [select(planted(truth, count, seed)) for seed in range(100)]
    better = [expected_loss(one.map, truth) < identity for one in found]
    assert sum(better) >= 95


def test_true_convictions_lose_next_to_nothing():
    identity = IdentityMap()
    least = expected_loss(identity, identity.probability)
    lost = [
        expected_loss(select(planted(identity.probability, 400, seed)).map, identity.probability)
        - least
        for seed in range(20)
    ]
    assert max(lost) < 0.02
    assert sum(lost) / len(lost) < 0.004


@pytest.mark.parametrize("kind", [MapKind.PLATT, MapKind.ONLINE_PLATT, MapKind.ISOTONIC])
def test_no_kind_competes_before_it_has_its_outcomes(kind):
    outcomes = planted(FAMILIES["too high"], OUTCOMES_MIN[kind], 1)
    assert kind in select(outcomes).log_losses
    assert kind not in select(outcomes.before(len(outcomes.wins) - 1)).log_losses


def test_with_too_few_outcomes_there_is_no_choice():
    found = select(planted(FAMILIES["too high"], 199, 1))
    assert found == (MapKind.IDENTITY, IdentityMap(), {}, None)


def test_a_step_takes_the_isotonic_map():
    assert select(planted(FAMILIES["a step"], 3_000, 1)).kind == MapKind.ISOTONIC


@pytest.mark.parametrize("kind", MapKind)
def test_no_probability_depends_on_its_own_outcome_or_a_later_one(kind):
    outcomes = planted(FAMILIES["too high"], 300, 7)
    probabilities = held_out_probabilities(kind, outcomes)
    assert len(probabilities) == 200
    for place in (100, 101, 132, 133, 134, 166, 299):
        other = [won ^ (number >= place) for number, won in enumerate(outcomes.wins)]
        changed = held_out_probabilities(kind, OutcomeSeries(outcomes.convictions, other))
        assert changed[: place - 100 + 1] == probabilities[: place - 100 + 1]
    earlier = [not outcomes.wins[0], *outcomes.wins[1:]]
    changed = held_out_probabilities(kind, OutcomeSeries(outcomes.convictions, earlier))
    assert (changed == probabilities) == (kind == MapKind.IDENTITY)
