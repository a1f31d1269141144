"""Computes the signals of a strategy on past bars, with the code of the live run."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import signals_pb2

from kit.features.evaluator import FeatureBar
from kit.strategy.instance import CLOSE, FLAT, REDUCE, StrategyInstance

ASSUMED_SIZE = Decimal(1)


class PastPositions(Protocol):
    """The position of a strategy at each of its bars."""

    def at(self, open_time_ns: int) -> Decimal:
        """At the next bar, which opens at this time."""

    def raised(self, signal: signals_pb2.SignalRaised) -> None:
        """It has raised a signal on this bar."""


class RecordedPositions:
    """Those that it knew when it ran."""

    def __init__(self, seen: Sequence[tuple[int, Decimal]]) -> None:
        """``seen``: the open time of the first bar with a position, and its size; oldest first."""
        self._waiting = list(reversed(seen))
        self._size = FLAT

    def at(self, open_time_ns: int) -> Decimal:
        while self._waiting and self._waiting[-1][0] <= open_time_ns:
            self._size = self._waiting.pop()[1]
        return self._size

    def raised(self, signal: signals_pb2.SignalRaised) -> None:
        pass


class AssumedPositions:
    """As if each signal were filled before the next bar, and opened a size of 1."""

    def __init__(self) -> None:
        self._size = FLAT

    def at(self, open_time_ns: int) -> Decimal:
        return self._size

    def raised(self, signal: signals_pb2.SignalRaised) -> None:
        is_bought = signal.side == types_pb2.SIDE_BUY
        opened = ASSUMED_SIZE if is_bought else -ASSUMED_SIZE
        if signal.action == REDUCE:
            self._size *= 1 - Decimal(signal.request.reduce_fraction)
        else:
            self._size = FLAT if signal.action == CLOSE else opened


class PastSignal(NamedTuple):
    """What a strategy asks for on a past bar: ``StrategyInstance.event`` makes the event of both,
    with the bar as a message."""

    bar: FeatureBar
    raised: signals_pb2.SignalRaised


def past_signals(
    instance: StrategyInstance,
    bars: Iterable[FeatureBar],
    first_time_ns: int,
    positions: PastPositions,
) -> Iterator[PastSignal]:
    """The signals on bars, oldest first. Those that open before ``first_time_ns`` warm it up."""
    observe, warm_up, at = instance.observe, instance.warm_up_numbers, positions.at
    for bar in bars:
        if bar.open_time_ns < first_time_ns:
            warm_up(bar)
            continue
        raised = observe(bar, at(bar.open_time_ns))
        if raised is not None:
            positions.raised(raised)
            yield PastSignal(bar, raised)
