"""Interfaces between the detector and the code of strategies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Protocol

from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import event_pb2

from kit.features.calculators import Value
from kit.features.market_inputs import InputSeries
from kit.strategy.loader import StrategyFileError
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import StrategyTerms

STEPS_MAX = 500
"""Most bars of one request."""


class StrategyFault(Exception):
    """The code of a strategy has failed. It must not be called again."""


class EvaluationLost(Exception):
    """The process of the code has ended for another reason than this strategy. Resume from the
    stored state."""


class StrategyRefused(Exception):
    """No strategy may run here. The text has the reason and a remedy."""


@dataclass(frozen=True, slots=True)
class StrategySource:
    """The file and the parameters of a strategy."""

    content: bytes
    file: str
    strategy: str
    """Its name in the file; empty if the file has only one strategy."""
    parameters: Mapping[str, str]


class InputStep(NamedTuple):
    """A row of market data besides bars."""

    place: int
    """Index of its series in ``StrategyInstance.inputs.series``."""
    time_ns: int
    values: Sequence[Value]
    next_time_ns: int
    """End of the bar for which it was read."""


class BarStep(NamedTuple):
    """A bar, and the inputs read since the bar before."""

    bar: bars_pb2.Bar
    inputs: Sequence[InputStep] = ()


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The result of an evaluation of bars."""

    events: Sequence[event_pb2.Event]
    """In the order of the bars, at most one for each."""
    state: bytes
    """After the newest bar."""


class RunningInstance(Protocol):
    """A strategy on an instrument. After StrategyFault or EvaluationLost it cannot be used."""

    series: Sequence[InputSeries]
    """The market data that it needs besides its bars."""
    begins: bool
    """Whether it started without a saved state."""

    async def warm_up(self, steps: Sequence[BarStep]) -> None:
        """Evaluate bars that are too old for a signal."""

    async def update(self, steps: Sequence[BarStep], position: Decimal) -> Evaluated:
        """Evaluate the next final bars, up to STEPS_MAX. ``position``: negative if short."""

    async def explain(self, bar: bars_pb2.Bar | None) -> detector_pb2.ExplainResponse:
        """The scores after its newest bar, without its status."""

    async def evaluations(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        """What it has computed on its newest bars, without its status: on those that open after
        this time."""

    def close(self) -> None:
        """It is not called again."""


class StrategyProgram(Protocol):
    """A strategy whose code was loaded once without an error."""

    terms: StrategyTerms

    async def begin(self, instrument: Instrument, state: bytes | None) -> RunningInstance:
        """An instance that resumes from a state saved by the same version. Raises StrategyFault,
        EvaluationLost, StrategyRefused."""


@dataclass(frozen=True, slots=True)
class ProgramFolder:
    """The strategies of a folder, and the errors of its unusable files."""

    programs: Sequence[StrategyProgram] = ()
    errors: Sequence[StrategyFileError] = ()


class StrategyPrograms(Protocol):
    """Loads strategies."""

    async def load(self, source: StrategySource, name: str) -> StrategyProgram:
        """A strategy of a file. ``name``: replaces its name; empty keeps the name. Raises
        StrategyFileError, EvaluationLost, StrategyRefused."""

    async def load_folder(self, folder: Path) -> ProgramFolder:
        """The strategies of all files of a folder, by name. Raises OSError for one that is not
        there, EvaluationLost, StrategyRefused."""
