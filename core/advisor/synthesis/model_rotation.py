"""Asks the first of several models, and the next one after repeated faults."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from core.advisor.synthesis.completion import ChatFailed, Completion
from core.advisor.synthesis.prompt import ModelPrompt


class ModelClient(Protocol):
    """Asks one model."""

    async def ask(self, prompt: ModelPrompt) -> Completion:
        """Raises ChatFailed."""


class ModelSwitch(NamedTuple):
    """From one model to another, by their places in the list."""

    previous: int
    current: int


class ModelRotation:
    """Counts the faults in a row of the current model.

    After the last model the first one is asked again: it may work by then.
    """

    def __init__(self, models: Sequence[ModelClient], faults_max: int) -> None:
        self._models = models
        self._faults_max = faults_max
        self._faults = 0
        self.current = 0

    async def ask(self, prompt: ModelPrompt) -> tuple[int, Completion | ChatFailed]:
        """The place of the model that was asked, and its answer or fault."""
        asked = self.current
        try:
            return asked, await self._models[asked].ask(prompt)
        except ChatFailed as error:
            return asked, error

    def count(self, asked: int, is_usable: bool) -> ModelSwitch | None:
        """Count an answer, once it has been checked. Returns the switch that it causes.

        Answers of a model that is not the current one any more do not count.
        """
        if asked != self.current:
            return None
        self._faults = 0 if is_usable else self._faults + 1
        if self._faults < self._faults_max or len(self._models) == 1:
            return None
        self._faults = 0
        self.current = (asked + 1) % len(self._models)
        return ModelSwitch(asked, self.current)
