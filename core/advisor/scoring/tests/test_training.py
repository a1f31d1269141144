"""A scoring model finds what was planted, agrees with scikit-learn, and sees no later outcome."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.advisor.features import FEATURE_SET, FEATURES
from core.advisor.scoring.models import model_hash, unusable_reason
from core.advisor.scoring.tests.entries import (
    MINUTE_NS,
    START_NS,
    leaking_entries,
    planted_entries,
)
from core.advisor.scoring.training import (
    FoldParameters,
    LabelledEntry,
    TrainingImpossible,
    fit,
    folds,
    train,
)

FIGURES = json.loads(Path(__file__).with_name("sklearn_figures.json").read_text())


def test_a_planted_feature_is_found_and_predicts():
    model = train("ema_cross", planted_entries(2_000, weight=1.0))
    assert (model.strategy, model.feature_set) == ("ema_cross", FEATURE_SET)
    assert [one.name for one in model.features] == list(FEATURES)
    first, *others = (one.weight for one in model.features)
    assert first == pytest.approx(1.0, abs=0.2)
    assert max(map(abs, others)) < 0.2
    assert model.report.outcomes == 2_000
    assert model.report.brier_skill > 0.1
    assert model.report.log_loss < model.report.base_log_loss
    assert model.model_id == model_hash(model)
    assert unusable_reason(model) == ""


def test_noise_has_no_skill():
    assert train("ema_cross", planted_entries(2_000, weight=0.0)).report.brier_skill < 0.01


@pytest.mark.parametrize("case", FIGURES["cases"], ids=lambda case: case["name"])
def test_weights_are_those_of_scikit_learn(case):
    entries = [
        LabelledEntry(0, 1, tuple(values), bool(won))
        for values, won in zip(case["values"], case["wins"], strict=True)
    ]
    fitted = fit(entries)
    assert fitted.weights.tolist() == pytest.approx(case["weights"], abs=1e-6)
    assert fitted.intercept == pytest.approx(case["intercept"], abs=1e-6)
    expected = case["probabilities"]
    assert fitted.probabilities(entries[:20]).tolist() == pytest.approx(expected, abs=1e-7)


def test_the_purge_finds_outcomes_that_leak():
    """Without it, the outcomes of a block that began before a fold give away those in the fold."""
    for seed in range(5):
        # A fold is as long as a block, and begins in the middle of one.
        entries = leaking_entries(blocks=40, size=10, seed=seed)
        count = len(entries) // 10 - 1
        leaked = train("s", entries, FoldParameters(count, embargo_ns=0, is_purged=False))
        purged = train("s", entries, FoldParameters(count, embargo_ns=0))
        assert leaked.report.purged_outcomes == 0
        assert purged.report.purged_outcomes >= 150
        assert leaked.report.brier_skill > purged.report.brier_skill + 0.2
        assert purged.report.brier_skill < 0


def test_a_fold_is_trained_on_outcomes_that_were_known_before_it():
    parameters = FoldParameters(embargo_ns=5 * MINUTE_NS)
    made = folds(planted_entries(600, wait_ns=30 * MINUTE_NS), parameters)
    assert [len(one.predicted) for one in made] == [100] * 5
    # 30 minutes until an outcome is known, and 5 of embargo; the limit itself is not within.
    assert [one.purged for one in made] == [35] * 5
    for one in made:
        newest_ns = max(entry.known_time_ns for entry in one.training)
        assert newest_ns < one.predicted[0].decided_time_ns - parameters.embargo_ns


@settings(max_examples=20, deadline=None)
@given(
    waits=st.lists(st.integers(0, 200), min_size=240, max_size=240),
    fold=st.integers(0, 4),
    order=st.randoms(use_true_random=False),
    is_hidden=st.booleans(),
)
def test_hiding_or_shuffling_the_future_changes_no_prediction(waits, fold, order, is_hidden):
    entries = [
        one._replace(known_time_ns=one.decided_time_ns + wait * MINUTE_NS)
        for one, wait in zip(planted_entries(240), waits, strict=True)
    ]
    parameters = FoldParameters()
    wanted = folds(entries, parameters)[fold]
    begin_ns = wanted.predicted[0].decided_time_ns
    later = [one for one in entries if one.known_time_ns >= begin_ns]
    outcomes = [one.is_won for one in later]
    order.shuffle(outcomes)
    if is_hidden:
        outcomes = [False] * len(later)
    changed = dict(zip(map(id, later), outcomes, strict=True))
    other = [one._replace(is_won=changed.get(id(one), one.is_won)) for one in entries]
    found = folds(other, parameters)[fold]
    assert [one.features for one in found.predicted] == [one.features for one in wanted.predicted]
    if {one.is_won for one in wanted.training} == {False, True}:
        before = fit(wanted.training).probabilities(wanted.predicted).tolist()
        assert fit(found.training).probabilities(found.predicted).tolist() == before


def test_an_unknown_or_constant_feature_counts_for_nothing():
    entries = [
        one._replace(features=(one.features[0], None, 0.1, *one.features[3:]))
        for one in planted_entries(400)
    ]
    weights = [one.weight for one in train("s", entries).features]
    assert max(map(abs, weights[1:3])) < 1e-12
    assert abs(weights[0]) > 0.5


def test_too_few_or_equal_outcomes_and_contradictory_times_are_refused():
    with pytest.raises(TrainingImpossible, match="199 outcomes"):
        train("s", planted_entries(199))
    lost = [one._replace(is_won=False) for one in planted_entries(300)]
    with pytest.raises(TrainingImpossible, match="300 outcomes, 0 of them won"):
        train("s", lost)
    late = [*planted_entries(300)[:-1], LabelledEntry(START_NS, START_NS - 1, (None,) * 10, True)]
    with pytest.raises(TrainingImpossible, match="before its decision"):
        train("s", late)
    never_known = [one._replace(known_time_ns=2**62) for one in planted_entries(300)]
    with pytest.raises(TrainingImpossible, match="fold 1 has 0 outcomes that were known before it"):
        train("s", never_known)
