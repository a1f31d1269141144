"""How updates of an OKX book join, with the exceptions that are legal."""

import numpy as np
import pytest

from kit.connector.contract.venue import SequenceNumbers, SequenceResult
from venues.okx.book import BOOK

rule = BOOK.sequence


def update(previous: int, last: int) -> SequenceNumbers:
    return SequenceNumbers(min(previous + 1, last), last, previous)


@pytest.mark.parametrize(
    ("last", "numbers", "join"),
    [
        (10, update(10, 15), SequenceResult.APPLY),
        (15, update(15, 15), SequenceResult.APPLY),  # nothing has happened for a minute
        (15, update(15, 3), SequenceResult.APPLY),  # the numbering starts again
        (3, update(3, 5), SequenceResult.APPLY),
        (15, update(10, 15), SequenceResult.STALE),  # the same one again
        (15, update(16, 20), SequenceResult.GAP),
        (15, update(3, 5), SequenceResult.GAP),  # the one that restarted the numbering was missed
        (0, update(0, 0), SequenceResult.APPLY),  # captures of before there were numbers
    ],
)
def test_an_update_names_the_one_before_it(
    last: int, numbers: SequenceNumbers, join: SequenceResult
) -> None:
    assert rule.after_update(last, numbers) is join


@pytest.mark.parametrize(
    ("numbers", "join"),
    [
        (update(15, 17), SequenceResult.APPLY),
        (update(15, 3), SequenceResult.APPLY),
        (update(10, 15), SequenceResult.STALE),
        (update(9, 10), SequenceResult.STALE),
        (update(12, 18), SequenceResult.APPLY),
        (update(16, 18), SequenceResult.GAP),
    ],
)
def test_the_first_update_after_a_snapshot(numbers: SequenceNumbers, join: SequenceResult) -> None:
    assert rule.after_snapshot(15, numbers) is join


def column(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


def test_a_run_is_an_unbroken_chain() -> None:
    lasts = column(15, 15, 3, 5)
    assert rule.run_joins(10, column(0, 0, 0, 0), lasts, column(10, 15, 15, 3))
    assert not rule.run_joins(9, column(0, 0, 0, 0), lasts, column(10, 15, 15, 3))
    assert not rule.run_joins(10, column(0, 0, 0, 0), lasts, column(10, 15, 14, 3))
