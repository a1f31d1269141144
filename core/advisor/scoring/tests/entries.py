"""Labelled entries with planted outcomes, and models of them."""

import numpy as np
from venuemesh.events.v1 import scoring_models_pb2

from core.advisor.features import FEATURES
from core.advisor.scoring.training import LabelledEntry, train
from kit.base.clock import NANOSECONDS_PER_SECOND

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND
IN_FORCE = scoring_models_pb2.SCORING_MODEL_USE_IN_FORCE
SHADOW = scoring_models_pb2.SCORING_MODEL_USE_SHADOW


def planted_entries(
    count: int, weight: float = 1.0, seed: int = 1, wait_ns: int = MINUTE_NS
) -> list[LabelledEntry]:
    """An entry a minute. The first feature moves the log-odds of a win by ``weight`` for each
    standard deviation; the others are noise."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 1, (count, len(FEATURES)))
    chances = 1 / (1 + np.exp(-weight * values[:, 0]))
    wins = random.uniform(0, 1, count) < chances
    return [
        LabelledEntry(
            START_NS + number * MINUTE_NS,
            START_NS + number * MINUTE_NS + wait_ns,
            tuple(values[number].tolist()),
            bool(wins[number]),
        )
        for number in range(count)
    ]


def leaking_entries(blocks: int, size: int, seed: int = 1) -> list[LabelledEntry]:
    """One and a half blocks of noise, and entries whose outcomes depend on one later price: those
    of a block overlap, and are all won or all lost, by chance. The features name the block and say
    nothing about the outcome: only a model that has seen outcomes of the same block can use
    them."""
    random = np.random.default_rng(seed)
    found = planted_entries(size * 3 // 2, 0.0, seed)
    for _ in range(blocks):
        place = random.normal(0, 1, len(FEATURES))
        is_won = bool(random.uniform() < 0.5)
        begin_ns = START_NS + len(found) * MINUTE_NS
        for number in range(size):
            values = place + random.normal(0, 0.01, len(FEATURES))
            decided_ns, end_ns = begin_ns + number * MINUTE_NS, begin_ns + size * MINUTE_NS
            found.append(LabelledEntry(decided_ns, end_ns, tuple(values.tolist()), is_won))
    return found[: len(found) // size * size]


def assigned_model(
    use: "scoring_models_pb2.ScoringModelUse.ValueType" = IN_FORCE, **fields: object
) -> scoring_models_pb2.AssignedScoringModel:
    """A trained model with some fields changed."""
    model = train("ema_cross", planted_entries(300))
    for name, value in fields.items():
        setattr(model, name, value)
    return scoring_models_pb2.AssignedScoringModel(model=model, use=use)
