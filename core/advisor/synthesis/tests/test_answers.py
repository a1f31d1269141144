"""Answers of models: wrong ones are rejected, faithful ones are not."""

import json
import random
from collections import Counter
from decimal import Decimal

import pytest

from core.advisor.synthesis.answer import AnswerRejected, InvalidAnswer, read
from core.advisor.synthesis.claims import check
from core.advisor.synthesis.envelope import with_answer
from core.advisor.synthesis.tests import hostile
from core.advisor.synthesis.tests.cases import Example, example, faithful

HOSTILE_ANSWERS = 10_000
FAITHFUL_ANSWERS = 2_000
FALSE_ALARMS_MAX = 0.01
INVALID = (
    hostile.invented_tool,
    hostile.truncated,
    hostile.refusal,
    hostile.out_of_schema,
    hostile.too_large,
)
"""Faults of the form; the others state something that is not so."""


def accepted(raw: bytes, given: Example) -> None:
    answer = read(raw)
    check(answer, given.context)


def test_no_answer_with_a_wrong_claim_is_accepted():
    rng = random.Random(4)
    made: Counter[str] = Counter()
    while made.total() < HOSTILE_ANSWERS:
        given = example(rng)
        answer = faithful(rng, given)
        accepted(json.dumps(answer).encode(), given)
        for fault in hostile.FAULTS:
            raw = hostile.hostile(rng, fault, answer, given)
            if raw is None:
                continue
            made[fault.__name__] += 1
            expected = InvalidAnswer if fault in INVALID else AnswerRejected
            with pytest.raises(expected):
                pytest.fail(f"accepted: {fault.__name__} {raw[:2000]!r} {accepted(raw, given)}")
    assert min(made.values()) > HOSTILE_ANSWERS / len(hostile.FAULTS) / 2


def test_faithful_answers_are_accepted_and_stay_within_the_envelope():
    rng = random.Random(5)
    rejected = []
    for _ in range(FAITHFUL_ANSWERS):
        given = example(rng)
        said = faithful(rng, given)
        raw = json.dumps(said).encode()
        try:
            answer = read(raw)
            check(answer, given.context)
        except AnswerRejected as error:
            rejected.append(f"{error}: {raw!r}")
            continue
        advice = with_answer(answer, given.found.conviction)
        assert 0 <= advice.conviction <= given.found.conviction
        assert 0 <= advice.size_fraction <= Decimal(said["size_percent"]) / 100
    assert len(rejected) / FAITHFUL_ANSWERS < FALSE_ALARMS_MAX, rejected[:3]
