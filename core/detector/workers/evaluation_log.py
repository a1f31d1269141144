"""Keeps what a strategy has computed on its newest bars, in the worker process."""

import math
import struct
from collections import deque

from venuemesh.detector.v1 import detector_pb2

from kit.features.calculators import Value
from kit.features.evaluator import FeatureBar
from kit.strategy.instance import StrategyInstance

BARS_MAX = 240
NUMBERS_MAX = 60_000
"""A strategy with very many rules keeps fewer bars."""
LINE_CHARACTERS_MAX = 200

_UNKNOWN = math.nan


class EvaluationLog:
    """The newest evaluations of an instance, each as packed numbers: a few hundred bytes."""

    def __init__(self, instance: StrategyInstance) -> None:
        self._instance = instance
        count = len(instance.numbers())
        self._packing = struct.Struct(f"qq{count}d")
        self._bars: deque[bytes] = deque(maxlen=max(1, min(BARS_MAX, NUMBERS_MAX // count)))

    def add(self, bar: FeatureBar) -> None:
        """Keep the numbers after a bar that the instance has just seen."""
        numbers = [_UNKNOWN if one is None else one for one in self._instance.numbers()]
        self._bars.append(self._packing.pack(bar.open_time_ns, bar.close_time_ns, *numbers))

    def list(self, after_time_ns: int) -> detector_pb2.GetEvaluationsResponse:
        """The bars that open after this time, without the status of the strategy."""
        strategy = self._instance.strategy
        rows = map(self._packing.unpack, self._bars)
        return detector_pb2.GetEvaluationsResponse(
            rules=[
                detector_pb2.EvaluatedRule(
                    rule=rule.name, weight=0.0 if rule.veto else rule.weight, is_veto=rule.veto
                )
                for rule in strategy.rules
            ],
            exits=[one.name for one in strategy.exits],
            price_lines=[str(one)[:LINE_CHARACTERS_MAX] for one in self._instance.price_lines],
            evaluations=[self._evaluation(*row) for row in rows if row[0] > after_time_ns],
        )

    def _evaluation(
        self, open_time_ns: int, close_time_ns: int, score: float, *numbers: float
    ) -> detector_pb2.Evaluation:
        strategy = self._instance.strategy
        values = list(map(_computed, numbers))
        first_exit = len(strategy.rules)
        first_line = first_exit + len(strategy.exits)
        return detector_pb2.Evaluation(
            open_time_ns=open_time_ns,
            close_time_ns=close_time_ns,
            score=_known(score),
            rules=values[:first_exit],
            exits=values[first_exit:first_line],
            price_lines=values[first_line:],
        )


def _known(number: float) -> Value:
    return None if math.isnan(number) else number


def _computed(number: float) -> detector_pb2.ComputedValue:
    return detector_pb2.ComputedValue(value=_known(number))
