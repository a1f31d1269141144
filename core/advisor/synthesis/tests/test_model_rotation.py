"""Which model is asked."""

from core.advisor.synthesis.model_rotation import ModelRotation


def counted(rotation: ModelRotation, *usable: bool) -> list[tuple[int, bool]]:
    """For each answer the model that gave it, and whether the next one is asked after it."""
    return [(rotation.current, rotation.count(rotation.current, one)) for one in usable]


def test_the_next_model_is_asked_after_repeated_faults_and_the_first_after_the_last():
    rotation = ModelRotation(2, faults_max=2)
    assert counted(rotation, True, False, False) == [(0, False), (0, False), (0, True)]
    assert counted(rotation, True, False, False) == [(1, False), (1, False), (1, True)]
    assert rotation.current == 0


def test_a_usable_answer_ends_the_row_of_faults():
    rotation = ModelRotation(2, faults_max=2)
    assert not any(switched for _, switched in counted(rotation, False, True, False, True))
    assert counted(rotation, False, False) == [(0, False), (0, True)]


def test_late_faults_of_the_previous_model_do_not_count():
    rotation = ModelRotation(2, faults_max=1)
    assert [rotation.count(0, is_usable=False) for _ in range(3)] == [True, False, False]


def test_a_single_model_is_asked_again_and_again():
    rotation = ModelRotation(1, faults_max=1)
    assert counted(rotation, False, False, False) == [(0, False)] * 3
