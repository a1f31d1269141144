"""A strategy on an instrument whose code runs in another process. Nothing that it answers is
believed without a check."""

from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from core.detector.evaluation import BarStep, Evaluated, StrategyFault
from core.detector.workers.messages import (
    Answer,
    Begun,
    Done,
    Drop,
    Evaluations,
    Explain,
    Explained,
    Failed,
    Loaded,
    ReadEvaluations,
    Step,
    Update,
    Updated,
    WarmUp,
)
from core.detector.workers.worker_process import WorkerProcess
from kit.features.market_fields import InputKind
from kit.features.market_inputs import InputSeries
from kit.strategy.instance import BUY, CLOSE, FLAT, FLIP, OPEN, REDUCE, SELL, closing_side
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import StrategyTerms, signal_event

Expected = TypeVar("Expected", Loaded, Begun, Done, Updated, Explained, Evaluations)
Parsed = TypeVar("Parsed", bound=Message)


class RemoteInstance:
    """An instance in a process of the pool."""

    def __init__(
        self,
        worker: WorkerProcess,
        number: int,
        terms: StrategyTerms,
        instrument: Instrument,
        begun: Begun,
        closed: Callable[[], None],
    ) -> None:
        """``closed``: called once, when it is not called again."""
        self.series = _series(begun, terms.file)
        self.begins = begun.begins
        self._worker = worker
        self._number = number
        self._terms = terms
        self._instrument = instrument
        self._closed = closed

    async def warm_up(self, steps: Sequence[BarStep]) -> None:
        answer = await self._worker.ask(WarmUp(self._number, _sent(steps)))
        expected(answer, Done, self._terms.file)

    async def update(self, steps: Sequence[BarStep], position: Decimal) -> Evaluated:
        request = Update(self._number, _sent(steps), format(position, "f"))
        found = expected(await self._worker.ask(request), Updated, self._terms.file)
        places = [place for place, _ in found.signals]
        if sorted(set(places)) != places or not set(places) <= set(range(len(steps))):
            raise _wrong(self._terms.file, "more than one signal on a bar")
        events = [
            self._event(steps[place].bar, content, position) for place, content in found.signals
        ]
        return Evaluated(events, found.state)

    async def explain(self, bar: bars_pb2.Bar | None) -> detector_pb2.ExplainResponse:
        request = Explain(self._number, None if bar is None else bar.SerializeToString())
        found = expected(await self._worker.ask(request), Explained, self._terms.file)
        said = self._parsed(detector_pb2.ExplainResponse, found.answer)
        answer = detector_pb2.ExplainResponse(
            rules=said.rules, exits=said.exits, abstains_because=said.abstains_because
        )
        if said.HasField("score"):
            answer.score = said.score
        return answer

    async def evaluations(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        request = ReadEvaluations(self._number, after_time_ns)
        found = expected(await self._worker.ask(request), Evaluations, self._terms.file)
        said = self._parsed(detector_pb2.GetEvaluationsResponse, found.answer)
        counts = len(said.rules), len(said.exits), len(said.price_lines)
        for one in said.evaluations:
            if (len(one.rules), len(one.exits), len(one.price_lines)) != counts:
                raise _wrong(self._terms.file, "an evaluation of other rules")
        said.ClearField("status")
        return said

    def close(self) -> None:
        self._worker.tell(Drop(self._number))
        self._closed()

    def _event(self, bar: bars_pb2.Bar, content: bytes, position: Decimal) -> event_pb2.Event:
        signal = self._parsed(signals_pb2.SignalRaised, content)
        is_right = 0 <= signal.conviction <= 1 and -1 <= signal.score <= 1
        if not is_right or not _is_possible(signal, position):
            raise _wrong(self._terms.file, "a signal that no strategy raises")
        signal.position_size = format(position, "f")
        return signal_event(self._terms, self._instrument, bar, signal)

    def _parsed(self, kind: type[Parsed], content: bytes) -> Parsed:
        try:
            found = kind.FromString(content)
        except DecodeError as error:
            raise _wrong(self._terms.file, "no message") from error
        found.DiscardUnknownFields()
        return found


def expected(answer: Answer, kind: type[Expected], file: str) -> Expected:
    """An answer of this kind. Raises StrategyFault."""
    if isinstance(answer, kind):
        return answer
    if isinstance(answer, Failed):
        raise StrategyFault(f"{file}:{answer.line}: {answer.reason}")
    raise _wrong(file, "the answer to another request")


def _is_possible(signal: signals_pb2.SignalRaised, position: Decimal) -> bool:
    """Whether a strategy with this position may want this."""
    if position == FLAT:
        return signal.action == OPEN and signal.side in (BUY, SELL)
    is_partial = signal.action == REDUCE and _is_part(signal.request.reduce_fraction)
    return (is_partial or signal.action in (CLOSE, FLIP)) and signal.side == closing_side(position)


def _is_part(text: str) -> bool:
    try:
        fraction = Decimal(text)
    except InvalidOperation:
        return False
    return fraction.is_finite() and 0 < fraction < 1


def _wrong(file: str, what: str) -> StrategyFault:
    return StrategyFault(f"{file}: its process has answered with {what}")


def _series(begun: Begun, file: str) -> Sequence[InputSeries]:
    kinds = InputKind.__members__
    if not all(kind in kinds and levels >= 0 for _, kind, levels in begun.series):
        raise _wrong(file, "market data that do not exist")
    return [InputSeries(name, kinds[kind], levels) for name, kind, levels in begun.series]


def _sent(steps: Sequence[BarStep]) -> list[Step]:
    return [
        Step(
            step.bar.SerializeToString(),
            [(one.place, one.time_ns, list(one.values), one.next_time_ns) for one in step.inputs],
        )
        for step in steps
    ]
