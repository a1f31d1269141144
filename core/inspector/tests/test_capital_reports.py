"""What strategies use of the capital, and what signals would have brought that led to no order."""

from decimal import Decimal

import pytest
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import checks_pb2, decisions_pb2, event_pb2, risk_pb2, signals_pb2
from venuemesh.inspector.v1 import capital_reports_pb2

from core.inspector import suppressed_signals
from core.inspector.tests.rig import DECISIONS, SPOT, START_NS, close, decision, mode
from core.inspector.tests.test_limit_monitor import acting, hold_at, price_is
from core.inspector.tests.test_limits import limited
from core.inspector.tests.test_risk_reports import reports, until_verdicts
from kit.accounting.instruments import profit
from kit.events import newest_events

SIGNALS = event_pb2.EVENT_STREAM_SIGNALS


async def capital(rig, process, **request):
    asked = capital_reports_pb2.GetCapitalUseRequest(**request)
    return await reports(rig, process).GetCapitalUse(asked, None)


def signal(decided):
    """The signal that a decision was made on."""
    raised = signals_pb2.SignalRaised(action=decided.decision_made.intent.action)
    found = event_pb2.Event(event_id=decided.lifecycle_id, source="detector", instance="ema_cross")
    found.signal_raised.CopyFrom(raised)
    return found


def blocked_by_advisor(number):
    decided = decision(number)
    made = decided.decision_made
    made.outcome = decisions_pb2.DECISION_OUTCOME_BLOCKED
    stage = made.stages.add(stage=decisions_pb2.DECISION_STAGE_VALIDATION)
    stage.checks.add(name="size", result=checks_pb2.CHECK_RESULT_PASSED)
    stage.checks.add(name="spread", result=checks_pb2.CHECK_RESULT_BLOCKED)
    return decided


def outcome(decided, price, *, is_won=None):
    """What the advisor has observed of a decision."""
    found = event_pb2.Event(event_id=bytes(15) + decided.event_id[:1], source="advisor")
    found.cause_ids.append(decided.event_id)
    found.outcome_observed.price = price
    if is_won is not None:
        found.outcome_observed.is_won = is_won
    return found


async def decide(rig, *decided):
    await rig.put(SIGNALS, *map(signal, decided))
    await rig.put(DECISIONS, *decided)


async def test_use_of_capital_is_compared_with_limit_and_equity(rig):
    process = await acting(rig, limited(exposure_max={"strategy:*": "2000"}))
    price_is(process, 60_000)
    await hold_at(rig, 500, Decimal("0.01"))
    found = await capital(rig, process)
    (own,) = found.strategies
    assert (own.strategy, own.asset, own.gross, own.reserved) == ("ema_cross", "USDT", "600", "0")
    assert (own.limit, own.limit_used) == ("2000", "0.3")
    # It has 1000 in cash.
    assert (found.equity, own.equity_used, found.problem) == ("1000", "0.6", "")


async def test_without_a_currency_the_equity_is_not_known_and_says_why(rig):
    process = await rig.start()
    found = await capital(rig, process)
    assert (found.equity, found.currency, found.problem) == ("", "", "the policy has no currency")


async def test_refused_signals_are_added_up_with_what_they_would_have_brought(rig):
    process = await acting(rig, limited(exposure_max={"mesh": "100"}))
    price_is(process, 60_000)
    refused = [decision(number) for number in (1, 2, 3)]
    refused.append(decision(4, side=types_pb2.SIDE_SELL, stop_price="61000"))
    early = blocked_by_advisor(5)
    await decide(rig, *refused, early, close(6))
    await until_verdicts(rig, 5)
    outcomes = [
        outcome(refused[0], "62000", is_won=True),
        outcome(refused[1], "59000", is_won=False),
        outcome(refused[3], "59500", is_won=True),
    ]
    await rig.put(DECISIONS, *outcomes)
    by_inspector, by_advisor = sorted(
        (await capital(rig, process)).suppressed, key=lambda one: one.refused_by != "inspector"
    )
    assert (by_inspector.refused_by, by_inspector.reason) == ("inspector", "exposure_max")
    # 0.01 x (2000 - 1000 + 500)
    assert (by_inspector.profit, by_inspector.asset) == ("15", "USDT")
    counts = by_inspector.signals, by_inspector.won, by_inspector.lost, by_inspector.unknown
    assert counts == (4, 2, 1, 1)
    assert (by_advisor.refused_by, by_advisor.reason) == ("advisor", "spread")
    assert (by_advisor.signals, by_advisor.unknown, by_advisor.profit) == (1, 1, "")


async def test_mode_that_stops_entries_is_a_reason_and_allowed_ones_are_not_counted(rig):
    process = await acting(rig, limited())
    await decide(rig, decision(1))
    await rig.until_outcomes(1)
    await process.changes.set(mode(risk_pb2.TRADING_MODE_STANDING_DOWN), "lena")
    await decide(rig, decision(2, strategy="other"))
    await until_verdicts(rig, 2)
    (found,) = (await capital(rig, process)).suppressed
    assert (found.reason, found.signals) == ("mode", 1)


async def test_older_signals_are_not_counted_and_the_answer_says_since_when(rig, monkeypatch):
    process = await acting(rig, limited(exposure_max={"mesh": "100"}))
    price_is(process, 60_000)
    await decide(rig, decision(1), decision(2))
    await until_verdicts(rig, 2)
    found = await capital(rig, process, since_time_ns=START_NS + 2)
    assert [one.signals for one in found.suppressed] == [1]
    assert found.counted_since_time_ns == START_NS + 2
    # Of a page of two, the older one is not read any more.
    monkeypatch.setattr(suppressed_signals, "READ_EVENTS_MAX", 1)
    monkeypatch.setattr(newest_events, "READ_EVENTS", 1)
    found = await capital(rig, process, since_time_ns=1)
    assert found.counted_since_time_ns > START_NS


INVERSE = types_pb2.Instrument(
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL, base="BTC", quote="USD", settlement_asset="BTC",
    contract_kind=types_pb2.CONTRACT_KIND_INVERSE, size_unit=types_pb2.SIZE_UNIT_QUOTE,
)  # fmt: skip


@pytest.mark.parametrize(
    ("terms", "size", "found"),
    [
        (SPOT, "2", "20000"),
        (SPOT, "-2", "-20000"),
        (INVERSE, "100000", "0.5"),
        (INVERSE, "-100000", "-0.5"),
    ],
)
def test_profit_is_in_the_asset_that_pays_it(terms, size, found):
    made = profit(terms, Decimal(size), Decimal(40_000), Decimal(50_000))
    assert made == Decimal(found)
