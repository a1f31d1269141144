"""Calls the code of a strategy on one instrument, in the worker process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import signals_pb2

from core.detector.evaluation import BarStep
from core.detector.workers.evaluation_log import EvaluationLog
from kit.features.market_inputs import InputRow
from kit.strategy.instance import StrategyInstance, feature_bar
from kit.strategy.loader import LoadedStrategy, line_in
from kit.strategy.strategy import Instrument

REASON_CHARACTERS_MAX = 1_000


class CodeError(Exception):
    """The code of a strategy has raised an error."""

    def __init__(self, line: int, reason: str, takes_memory: bool = False) -> None:
        """``line``: in its file, from 1. ``takes_memory``: there was none left."""
        super().__init__(reason)
        self.line = line
        self.reason = reason
        self.takes_memory = takes_memory


class RaisedSignal(NamedTuple):
    """The signal of a strategy on a bar."""

    place: int
    """Index of the bar in the request."""
    signal: signals_pb2.SignalRaised


class HostedInstance:
    """Raises CodeError, whatever the code does that returns."""

    def __init__(self, loaded: LoadedStrategy, instrument: Instrument) -> None:
        self.loaded = loaded
        self._instrument = instrument
        self._make()

    def restore(self, state: bytes) -> bool:
        """Go on from a state. Returns False for one that cannot be read: then it begins."""
        with self._running():
            try:
                self.instance.restore(state)
            except ValueError:
                self._make()
                return False
        return True

    def warm_up(self, steps: Sequence[BarStep]) -> None:
        for step in steps:
            with self._running(step):
                bar = feature_bar(self._seen(step))
                self.instance.warm_up_numbers(bar)
                self._log.add(bar)

    def update(
        self, steps: Sequence[BarStep], position: Decimal
    ) -> tuple[list[RaisedSignal], bytes]:
        """The signals, and the state after the newest bar."""
        found: list[RaisedSignal] = []
        for place, step in enumerate(steps):
            with self._running(step):
                bar = feature_bar(self._seen(step))
                signal = self.instance.observe(bar, position)
                self._log.add(bar)
                if signal is not None:
                    found.append(RaisedSignal(place, signal))
        with self._running():
            return found, self.instance.save()

    def explain(self, bar: bars_pb2.Bar | None) -> detector_pb2.ExplainResponse:
        with self._running():
            found = self.instance.explain(bar)
            return detector_pb2.ExplainResponse(
                rules=found.rules,
                exits=found.exits,
                score=found.score,
                abstains_because=found.abstains_because,
            )

    def evaluations(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        with self._running():
            return self._log.list(after_time_ns)

    def _make(self) -> None:
        with self._running():
            self.instance = StrategyInstance(self.loaded, self._instrument)
            self._log = EvaluationLog(self.instance)

    def _seen(self, step: BarStep) -> bars_pb2.Bar:
        inputs = self.instance.inputs
        for place, time_ns, values, next_time_ns in step.inputs:
            inputs.add(inputs.series[place], InputRow(time_ns, values), next_time_ns)
        return step.bar

    @contextmanager
    def _running(self, step: BarStep | None = None) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            where = "" if step is None else f", at the bar that opens at {step.bar.open_time_ns}"
            raise code_error(self.loaded.file, error, where) from error


def code_error(file: Path, error: BaseException, where: str = "") -> CodeError:
    """The CodeError for an error of a file. ``where``: appended to its text."""
    reason = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS_MAX] + where
    return CodeError(line_in(file, error), reason, isinstance(error, MemoryError))
