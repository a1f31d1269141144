"""Runs strategies in this process: for tests and trusted code."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2

from core.detector.evaluation import (
    BarStep,
    Evaluated,
    ProgramFolder,
    StrategyFault,
    StrategySource,
)
from core.detector.workers.hosted_instance import CodeError, HostedInstance
from kit.features.market_inputs import InputSeries
from kit.strategy.loader import LoadedStrategy, load_folder, load_instance
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import signal_event, terms_of


class LocalProgram:
    """A strategy loaded into this process."""

    def __init__(self, loaded: LoadedStrategy) -> None:
        self.terms = terms_of(loaded)
        self._loaded = loaded

    async def begin(self, instrument: Instrument, state: bytes | None) -> "LocalInstance":
        with _faults(self.terms.file):
            hosted = HostedInstance(self._loaded, instrument)
            begins = state is None or not hosted.restore(state)
        return LocalInstance(hosted, instrument, begins)


class LocalInstance:
    """An instance whose code is called directly."""

    def __init__(self, hosted: HostedInstance, instrument: Instrument, begins: bool) -> None:
        self.series: Sequence[InputSeries] = hosted.instance.inputs.series
        self.begins = begins
        self._hosted = hosted
        self._terms = hosted.instance.terms
        self._instrument = instrument

    async def warm_up(self, steps: Sequence[BarStep]) -> None:
        with _faults(self._terms.file):
            self._hosted.warm_up(steps)

    async def update(self, steps: Sequence[BarStep], position: Decimal) -> Evaluated:
        with _faults(self._terms.file):
            found, state = self._hosted.update(steps, position)
        events = [
            signal_event(self._terms, self._instrument, steps[place].bar, signal)
            for place, signal in found
        ]
        return Evaluated(events, state)

    async def explain(self, bar: bars_pb2.Bar | None) -> detector_pb2.ExplainResponse:
        with _faults(self._terms.file):
            return self._hosted.explain(bar)

    async def evaluations(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        with _faults(self._terms.file):
            return self._hosted.evaluations(after_time_ns)

    def close(self) -> None:
        pass


class LocalPrograms:
    """Loads strategies into this process."""

    async def load(self, source: StrategySource, name: str) -> LocalProgram:
        file = Path(source.file or f"{name}.py")
        return LocalProgram(
            load_instance(file, source.content, source.parameters, source.strategy, name)
        )

    async def load_folder(self, folder: Path) -> ProgramFolder:
        found = load_folder(folder)
        return ProgramFolder([LocalProgram(one) for one in found.strategies], found.errors)


@contextmanager
def _faults(file: str) -> Iterator[None]:
    try:
        yield
    except CodeError as error:
        raise StrategyFault(f"{file}:{error.line}: {error.reason}") from error
