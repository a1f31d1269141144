"""Answers requests of the detector in a worker process."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from venuemesh.bars.v1 import bars_pb2

from core.detector.evaluation import BarStep, InputStep
from core.detector.workers.hosted_instance import CodeError, HostedInstance, code_error
from core.detector.workers.messages import (
    REASON_CHARACTERS_MAX,
    Answer,
    Begin,
    Begun,
    Done,
    Drop,
    Evaluations,
    Explain,
    Explained,
    Failed,
    Load,
    LoadAll,
    Loaded,
    ReadEvaluations,
    Request,
    Source,
    Step,
    Update,
    Updated,
    WarmUp,
)
from kit.strategy.loader import (
    LoadedStrategy,
    StrategyFileError,
    load_instance,
    load_source,
    version_of,
)
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import terms_of

BYTES_PER_MB = 1_000_000


class RequestHandler:
    """Has the instances of this process, by their numbers."""

    def __init__(self, instance_memory_bytes_max: int, memory_bytes: Callable[[], int]) -> None:
        """``memory_bytes``: of this process, now."""
        self._memory_bytes_max = instance_memory_bytes_max
        self._memory_bytes = memory_bytes
        self._instances: dict[int, HostedInstance] = {}
        self._grown_bytes: dict[int, int] = {}
        """By how much the process has grown while an instance was called."""
        self._loaded: dict[tuple[str, ...], LoadedStrategy] = {}
        self._newest = (b"", bars_pb2.Bar())
        """The newest bar, as many instances get the same one."""

    def answer(self, request: Request) -> Answer:
        """Call what the request concerns. Raises nothing that the code may raise."""
        number = 0 if isinstance(request, Load | LoadAll) else request.instance
        before = self._memory_bytes()
        try:
            found = self._answer(request)
        except CodeError as error:
            found = Failed(error.line, error.reason, error.takes_memory)
        except StrategyFileError as error:
            found = Failed(error.line, error.reason[:REASON_CHARACTERS_MAX])
        except BaseException as error:
            raised = code_error(Path(), error)
            found = Failed(raised.line, raised.reason, raised.takes_memory)
        grown = self._grown_bytes.get(number, 0) + self._memory_bytes() - before
        if grown > self._memory_bytes_max:
            megabytes, most = grown // BYTES_PER_MB, self._memory_bytes_max // BYTES_PER_MB
            found = Failed(1, f"it has taken {megabytes} MB of memory; allowed: {most}", True)
        if number in self._instances:
            self._grown_bytes[number] = grown
            if isinstance(found, Failed):
                self._drop(number)
        return found

    def _answer(self, request: Request) -> Answer:
        match request:
            case Update(number, steps, position):
                return self._update(self._instances[number], steps, position)
            case WarmUp(number, steps):
                self._instances[number].warm_up(self._steps(steps))
                return Done()
            case Explain(number, bar):
                seen = None if bar is None else bars_pb2.Bar.FromString(bar)
                answer = self._instances[number].explain(seen)
                return Explained(answer.SerializeToString())
            case ReadEvaluations(number, after_time_ns):
                evaluated = self._instances[number].evaluations(after_time_ns)
                return Evaluations(evaluated.SerializeToString())
            case Begin():
                return self._begin(request)
            case Drop(number):
                self._drop(number)
                return Done()
            case Load(source):
                return Loaded([terms_of(_load(source))])
            case LoadAll(source):
                found = load_source(Path(source.file), source.content, source.parameters)
                return Loaded([terms_of(one) for one in found])

    def _begin(self, request: Begin) -> Begun:
        loaded = self._program(request.source)
        hosted = HostedInstance(loaded, Instrument(request.venue, request.symbol))
        begins = request.state is None or not hosted.restore(request.state)
        self._instances[request.instance] = hosted
        series = [
            (one.instrument, one.kind.name, one.levels) for one in hosted.instance.inputs.series
        ]
        return Begun(series, begins)

    def _update(self, hosted: HostedInstance, steps: list[Step], position: str) -> Updated:
        found, state = hosted.update(self._steps(steps), Decimal(position))
        return Updated([(place, one.SerializeToString()) for place, one in found], state)

    def _steps(self, steps: list[Step]) -> list[BarStep]:
        return [
            BarStep(self._bar(step.bar), [InputStep(*one) for one in step.inputs]) for step in steps
        ]

    def _bar(self, content: bytes) -> bars_pb2.Bar:
        if self._newest[0] != content:
            self._newest = content, bars_pb2.Bar.FromString(content)
        return self._newest[1]

    def _program(self, source: Source) -> LoadedStrategy:
        """Instances of the same strategy share what its file has made."""
        version = version_of(source.content, source.parameters)
        key = source.file, source.strategy, source.name, version
        if key not in self._loaded:
            self._loaded[key] = _load(source)
        return self._loaded[key]

    def _drop(self, number: int) -> None:
        self._instances.pop(number, None)
        self._grown_bytes.pop(number, None)
        used = {id(hosted.loaded) for hosted in self._instances.values()}
        self._loaded = {key: one for key, one in self._loaded.items() if id(one) in used}


def _load(source: Source) -> LoadedStrategy:
    file = Path(source.file)
    return load_instance(file, source.content, source.parameters, source.strategy, source.name)
