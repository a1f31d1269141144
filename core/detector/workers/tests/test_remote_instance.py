"""Answers of a process that no strategy of ours gives are not believed."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.detector.v1 import detector_pb2
from venuemesh.events.v1 import signals_pb2

from core.detector.evaluation import BarStep, StrategyFault
from core.detector.workers.messages import Begun, Done, Evaluations, Explained, Failed, Updated
from core.detector.workers.remote_instance import RemoteInstance
from kit.strategy.instance import CLOSE, FLAT, FLIP, OPEN, REDUCE, SELL
from kit.strategy.strategy import Instrument
from kit.strategy.strategy_terms import terms_of
from kit.strategy.tests.market import BTCUSDT, bar, loaded

STEPS = [BarStep(bar(0)), BarStep(bar(1))]
ONE = Decimal(1)


class Worker:
    """Gives one answer to everything."""

    def __init__(self, answer):
        self._answer = answer

    async def ask(self, request):
        return self._answer

    def tell(self, request):
        pass


def instance(answer, series=()):
    terms = terms_of(loaded())
    begun = Begun(list(series), begins=True)
    return RemoteInstance(Worker(answer), 1, terms, BTCUSDT, begun, closed=lambda: None)


def signal(**changes):
    fields = {"action": OPEN, "side": types_pb2.SIDE_BUY, "conviction": 1.0, "score": 1.0}
    return signals_pb2.SignalRaised(**{**fields, **changes})


def reduction(fraction):
    request = signals_pb2.PositionRequest(reduce_fraction=fraction)
    return signal(action=REDUCE, side=SELL, request=request)


def updated(*found):
    return Updated([(place, one.SerializeToString()) for place, one in found], b"state")


async def test_what_a_signal_says_of_itself_is_not_read():
    forged = signal(
        strategy="another",
        strategy_version="00",
        venue="okx",
        symbol="ETH-USDT",
        account="main",
        position_size="7",
        expires_time_ns=1 << 62,
        bar=bar(77),
    )
    found = await instance(updated((1, forged))).update(STEPS, FLAT)
    (event,) = found.events
    said = event.signal_raised
    assert (said.strategy, said.account, said.position_size) == ("always", "paper", "0")
    assert Instrument(said.venue, said.symbol) == BTCUSDT
    assert said.strategy_version == event.config_hash.hex() == "ab" * 32
    assert said.bar == bar(1)
    assert said.expires_time_ns == bar(1).close_time_ns + 1_000_000_000


@pytest.mark.parametrize(
    ("answer", "position", "said"),
    [
        (updated((0, signal()), (0, signal())), FLAT, "more than one signal on a bar"),
        (updated((1, signal()), (0, signal())), FLAT, "more than one signal on a bar"),
        (updated((2, signal())), FLAT, "more than one signal on a bar"),
        (updated((0, signal())), ONE, "a signal that no strategy raises"),
        (updated((0, signal(action=CLOSE))), FLAT, "a signal that no strategy raises"),
        (updated((0, signal(action=CLOSE))), ONE, "a signal that no strategy raises"),
        (updated((0, signal(action=FLIP, side=SELL))), FLAT, "a signal that no strategy raises"),
        (updated((0, signal(action=FLIP))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction(""))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction("all"))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction("nan"))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction("1"))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction("-0.5"))), ONE, "a signal that no strategy raises"),
        (updated((0, reduction("0.5"))), -ONE, "a signal that no strategy raises"),
        (updated((0, signal(side=0))), FLAT, "a signal that no strategy raises"),
        (updated((0, signal(conviction=2.0))), FLAT, "a signal that no strategy raises"),
        (updated((0, signal(score=float("nan")))), FLAT, "a signal that no strategy raises"),
        (Updated([(0, b"\xff\xff")], b""), FLAT, "no message"),
        (Done(), FLAT, "the answer to another request"),
        (Failed(3, "KeyError: 1"), FLAT, "example.py:3: KeyError: 1"),
    ],
)
async def test_a_wrong_answer_is_a_fault_of_the_strategy(answer, position, said):
    with pytest.raises(StrategyFault, match=said):
        await instance(answer).update(STEPS, position)


@pytest.mark.parametrize(
    "wanted",
    [signal(action=CLOSE, side=SELL), signal(action=FLIP, side=SELL), reduction("0.5")],
)
async def test_position_may_be_closed_reduced_and_flipped(wanted):
    (event,) = (await instance(updated((0, wanted))).update(STEPS, ONE)).events
    found = event.signal_raised
    assert (found.action, found.side, found.position_size) == (wanted.action, SELL, "1")
    assert found.request == wanted.request


async def test_an_explanation_has_only_what_the_rules_say():
    forged = detector_pb2.ExplainResponse(threshold=9.0, position_size="9", score=0.5)
    found = await instance(Explained(forged.SerializeToString())).explain(None)
    assert (found.score, found.threshold, found.position_size) == (0.5, 0.0, "")


async def test_evaluations_are_of_its_own_rules():
    said = detector_pb2.GetEvaluationsResponse(
        status=detector_pb2.StrategyStatus(strategy="another"),
        rules=[detector_pb2.EvaluatedRule(rule="up")],
        evaluations=[detector_pb2.Evaluation(rules=[detector_pb2.ComputedValue(value=1.0)])],
    )
    found = await instance(Evaluations(said.SerializeToString())).evaluations(0)
    assert not found.HasField("status")
    assert found.evaluations == said.evaluations
    said.exits.append("over")
    with pytest.raises(StrategyFault, match="an evaluation of other rules"):
        await instance(Evaluations(said.SerializeToString())).evaluations(0)


def test_market_data_that_do_not_exist_are_not_asked_for():
    with pytest.raises(StrategyFault, match="market data that do not exist"):
        instance(Done(), [("binance/BTCUSDT", "SECRETS", 0)])
