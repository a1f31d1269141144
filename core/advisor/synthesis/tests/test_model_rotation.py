"""Which model is asked."""

from core.advisor.synthesis.completion import ChatFailed, Completion, ModelFault
from core.advisor.synthesis.model_rotation import ModelRotation, ModelSwitch
from core.advisor.synthesis.prompt import ModelPrompt

PROMPT = ModelPrompt("", "")


class Model:
    """A model that answers, or fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.works = True

    async def ask(self, prompt: ModelPrompt) -> Completion:
        if not self.works:
            raise ChatFailed(ModelFault.FAILED, self.name)
        return Completion(b"{}", self.name, 1, 1)


async def asked(rotation: ModelRotation) -> tuple[str, ModelSwitch | None]:
    place, found = await rotation.ask(PROMPT)
    is_usable = isinstance(found, Completion)
    name = found.model if isinstance(found, Completion) else str(found)
    return name, rotation.count(place, is_usable)


async def test_the_next_model_is_asked_after_repeated_faults_and_the_first_after_the_last():
    first, second = Model("first"), Model("second")
    rotation = ModelRotation([first, second], faults_max=2)
    assert await asked(rotation) == ("first", None)
    first.works = False
    assert await asked(rotation) == ("first", None)
    assert await asked(rotation) == ("first", ModelSwitch(0, 1))
    assert await asked(rotation) == ("second", None)
    second.works, first.works = False, True
    assert await asked(rotation) == ("second", None)
    assert await asked(rotation) == ("second", ModelSwitch(1, 0))
    assert await asked(rotation) == ("first", None)


async def test_a_usable_answer_ends_the_row_of_faults_and_a_rejected_one_is_a_fault():
    rotation = ModelRotation([Model("first"), Model("second")], faults_max=2)
    for is_usable in (False, True, False, True):
        place, _ = await rotation.ask(PROMPT)
        assert rotation.count(place, is_usable) is None
    assert rotation.count(0, is_usable=False) is None
    assert rotation.count(0, is_usable=False) == ModelSwitch(0, 1)


async def test_late_faults_of_the_previous_model_do_not_count():
    rotation = ModelRotation([Model("first"), Model("second")], faults_max=1)
    places = [(await rotation.ask(PROMPT))[0] for _ in range(3)]
    found = [rotation.count(place, is_usable=False) for place in places]
    assert found == [ModelSwitch(0, 1), None, None]


async def test_a_single_model_is_asked_again_and_again():
    model = Model("only")
    model.works = False
    rotation = ModelRotation([model], faults_max=1)
    assert [await asked(rotation) for _ in range(3)] == [("only", None)] * 3
