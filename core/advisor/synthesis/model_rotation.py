"""Chooses the first of several models, and the next one after repeated faults."""


class ModelRotation:
    """Counts the faults in a row of the current model.

    After the last model the first one is asked again: it may work by then.
    """

    def __init__(self, models: int, faults_max: int) -> None:
        self._models = models
        self._faults_max = faults_max
        self._faults = 0
        self.current = 0
        """The place of the model to ask."""

    def count(self, asked: int, is_usable: bool) -> bool:
        """Count an answer, once it has been checked. Returns whether the model changes with it.

        Answers of a model that is not the current one any more do not count.
        """
        if asked != self.current:
            return False
        self._faults = 0 if is_usable else self._faults + 1
        if self._faults < self._faults_max or self._models == 1:
            return False
        self._faults = 0
        self.current = (asked + 1) % self._models
        return True
