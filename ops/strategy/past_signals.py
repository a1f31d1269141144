"""The signals of a strategy over the record of a mesh."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray
from venuemesh.bars.v1 import bars_pb2
from venuemesh.detector.v1 import detector_pb2, detector_pb2_grpc
from venuemesh.events.v1 import event_pb2
from venuemesh.history.v1 import history_pb2, history_pb2_grpc

from kit.base.paging import whole_list
from kit.features.evaluator import FeatureBar
from kit.storage.reader.columns import Columns
from kit.strategy.instance import StrategyInstance
from kit.strategy.loader import LoadedStrategy
from kit.strategy.past_signals import (
    AssumedPositions,
    PastPositions,
    PastSignal,
    RecordedPositions,
    past_signals,
)
from kit.strategy.strategy import Instrument
from ops.data_files.record_source import BARS, WantedRows, from_gateway
from ops.errors import OperationsError

if TYPE_CHECKING:
    DetectorStub: TypeAlias = detector_pb2_grpc.DetectorAsyncStub
    HistoryStub: TypeAlias = history_pb2_grpc.HistoryAsyncStub

CALL_SECONDS_MAX = 30
END_NS = (1 << 63) - 1
EXACT_MAX = 1 << 53
"""Whole numbers up to it are floats exactly, so a division by a power of ten is the float that is
nearest to the decimal number."""


@dataclass(frozen=True, slots=True)
class PastSpan:
    """Bars over which a strategy runs from its beginning."""

    warm_up_time_ns: int
    """Open time of the first bar that it sees."""
    first_time_ns: int
    """Open time of the first bar that may raise a signal."""
    end_time_ns: int
    positions: PastPositions
    is_recorded: bool
    """Whether it ran then, with this version: the signals are those that it raised."""


@dataclass(frozen=True, slots=True)
class PastEvent:
    """A signal, and whether it is one of a run that is recorded."""

    event: event_pb2.Event
    is_recorded: bool


class PastRuns:
    """Runs one strategy on one instrument over the record."""

    def __init__(
        self, channel: grpc.aio.Channel, loaded: LoadedStrategy, instrument: Instrument
    ) -> None:
        self._channel = channel
        self._detector: DetectorStub = detector_pb2_grpc.DetectorStub(channel)
        self._history: HistoryStub = history_pb2_grpc.HistoryStub(channel)
        self._loaded = loaded
        self._instrument = instrument
        self.bars = 0
        """That were seen."""

    async def signals(self, start_ns: int, end_ns: int) -> AsyncIterator[PastEvent]:
        """Those on bars that open in a range, oldest first."""
        for span in await self._spans(start_ns, end_ns):
            instance = StrategyInstance(self._loaded, self._instrument)
            if instance.inputs.series:
                names = ", ".join(f"{one.instrument} {one.kind}" for one in instance.inputs.series)
                raise OperationsError(f"the past is asked for bars only, not yet for: {names}")
            for signal in await self._found(instance, span):
                if start_ns <= signal.bar.open_time_ns:
                    bar = await self._bar(signal.bar)
                    yield PastEvent(instance.event(bar, signal.raised), span.is_recorded)

    async def _spans(self, start_ns: int, end_ns: int) -> list[PastSpan]:
        """The runs of this version in a range, or if there is none the range itself."""
        name, (venue, symbol) = self._loaded.strategy.name, self._instrument
        wanted_runs = detector_pb2.ListRunsRequest(strategy=name, venue=venue, symbol=symbol)
        runs = await whole_list(self._detector.ListRuns, wanted_runs, timeout=CALL_SECONDS_MAX)
        wanted = detector_pb2.ListSeenPositionsRequest(strategy=name, venue=venue, symbol=symbol)
        seen = await whole_list(self._detector.ListSeenPositions, wanted, timeout=CALL_SECONDS_MAX)
        positions = [(one.open_time_ns, Decimal(one.size)) for one in seen.positions]
        ends = [*(run.open_time_ns for run in runs.runs[1:]), END_NS]
        found = [
            PastSpan(
                run.warm_up_time_ns,
                run.open_time_ns,
                min(end, end_ns),
                RecordedPositions(positions),
                is_recorded=True,
            )
            for run, end in zip(runs.runs, ends, strict=False)
            if run.version == self._loaded.version and run.open_time_ns < end_ns and end > start_ns
        ]
        if found:
            return found
        first = await self._warm_up_time_ns(start_ns)
        return [PastSpan(first, start_ns, end_ns, AssumedPositions(), is_recorded=False)]

    async def _warm_up_time_ns(self, start_ns: int) -> int:
        """Open time of the first bar of a warm-up before a time."""
        count = self._loaded.strategy.warm_up_bars
        if not count or not start_ns:
            return start_ns
        request = history_pb2.ListBarsRequest(
            venue=self._instrument.venue,
            symbol=self._instrument.symbol,
            interval=self._loaded.strategy.interval,
            range=history_pb2.TimeRange(end_time_ns=start_ns),
            order=history_pb2.SORT_ORDER_NEWEST_FIRST,
            page_size=count,
        )
        found = (await self._history.ListBars(request, timeout=CALL_SECONDS_MAX)).bars
        return found[-1].open_time_ns if found else start_ns

    async def _found(self, instance: StrategyInstance, span: PastSpan) -> Sequence[PastSignal]:
        wanted = WantedRows(
            *self._instrument,
            BARS,
            self._loaded.strategy.interval,
            span.warm_up_time_ns,
            span.end_time_ns,
        )
        found: list[PastSignal] = []
        async for part in from_gateway(self._channel, wanted):
            bars = list(feature_bars(part))
            self.bars += len(bars)
            found += past_signals(instance, bars, span.first_time_ns, span.positions)
        return found

    async def _bar(self, seen: FeatureBar) -> bars_pb2.Bar:
        request = history_pb2.ListBarsRequest(
            venue=self._instrument.venue,
            symbol=self._instrument.symbol,
            interval=self._loaded.strategy.interval,
            range=history_pb2.TimeRange(
                start_time_ns=seen.open_time_ns, end_time_ns=seen.open_time_ns + 1
            ),
            page_size=1,
        )
        return (await self._history.ListBars(request, timeout=CALL_SECONDS_MAX)).bars[0]


def feature_bars(columns: Columns) -> Iterator[FeatureBar]:
    """The final bars among columns of bars, with the numbers of ``instance.feature_bar``."""
    names = ("open", "high", "low", "close", "volume", "buy_volume")
    numbers = [_floats(columns[name], columns.scales[name]) for name in names]
    quote_volumes = _floats(columns["quote_volume"], columns.scales["quote_volume"])
    exact = ("open_time_ns", "close_time_ns", "covered_ns", "revision")
    rows = zip(
        *numbers,
        columns["trade_count"].tolist(),
        quote_volumes,
        *(columns[name].tolist() for name in exact),
        strict=True,
    )
    final = columns["final"].tolist()
    return (FeatureBar(*row) for row, is_final in zip(rows, final, strict=True) if is_final)


def _floats(numbers: NDArray[np.int64], scale: int) -> list[float]:
    if len(numbers) and int(np.abs(numbers).max()) > EXACT_MAX:
        return [number / 10**scale for number in numbers.tolist()]
    floats: list[float] = (numbers / 10.0**scale).tolist()
    return floats
