"""A signal that gets an intent, and what is known about it."""

from venuemesh.bars.v1 import bars_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2, event_pb2, signals_pb2

from core.advisor import facts as fact_ids
from core.advisor.calibration_store import first_map
from core.advisor.decision_case import DecisionCase
from core.advisor.facts import DecisionFacts, Fact, instrument_facts
from core.advisor.settings import AdvisorSettings
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.events.event_ids import event_id

NOW_NS = 1_700_000_060_500_000_000
BAR_END_NS = 1_700_000_060_000_000_000
MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
ANSWER_NS = 2 * NANOSECONDS_PER_MILLISECOND
RULES = AdvisorSettings().rules()
OPEN = signals_pb2.POSITION_ACTION_OPEN
CLOSE = signals_pb2.POSITION_ACTION_CLOSE
REDUCE = signals_pb2.POSITION_ACTION_REDUCE
FLIP = signals_pb2.POSITION_ACTION_FLIP
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL

SPOT = types_pb2.Instrument(
    venue="binance",
    symbol="BTCUSDT",
    kind=types_pb2.INSTRUMENT_KIND_SPOT,
    base="BTC",
    quote="USDT",
    price_tick="0.01",
    size_step="0.00001",
    size_min="0.00001",
    notional_min="5",
    status=types_pb2.INSTRUMENT_STATUS_TRADING,
    size_unit=types_pb2.SIZE_UNIT_BASE,
)
INVERSE = types_pb2.Instrument(
    venue="binance",
    symbol="BTCUSD",
    kind=types_pb2.INSTRUMENT_KIND_PERPETUAL,
    base="BTC",
    quote="USD",
    settlement_asset="BTC",
    price_tick="0.5",
    size_step="1",
    status=types_pb2.INSTRUMENT_STATUS_TRADING,
    size_unit=types_pb2.SIZE_UNIT_CONTRACTS,
    contract_kind=types_pb2.CONTRACT_KIND_INVERSE,
    contract_value="100",
    contract_value_asset="USD",
)


def bar(**fields) -> bars_pb2.Bar:
    """A bar of a minute in which takers bought more than they sold."""
    values = {
        "venue": "binance",
        "symbol": "BTCUSDT",
        "interval": "1m",
        "open_time_ns": BAR_END_NS - MINUTE_NS,
        "close_time_ns": BAR_END_NS,
        "covered_ns": MINUTE_NS,
        "open": "59900",
        "high": "60010",
        "low": "59890",
        "close": "60000",
        "volume": "10",
        "buy_volume": "7",
        "trade_count": 100,
        "final": True,
    }
    return bars_pb2.Bar(**values | fields)


def signal(
    action=OPEN, side=BUY, request=None, bar_fields=None, **fields
) -> signals_pb2.SignalRaised:
    """It asks for 1,000 USDT, with a stop 300 away and a take-profit 600 away."""
    wanted = {"notional": "1000", "stop_distance": "300", "target_distance": "600"}
    values = {
        "strategy": "ema_cross",
        "venue": "binance",
        "account": "paper",
        "symbol": "BTCUSDT",
        "action": action,
        "side": side,
        "conviction": 0.8,
        "expires_time_ns": NOW_NS + MINUTE_NS,
        "bar": bar(**(bar_fields or {})),
        "request": signals_pb2.PositionRequest(**(wanted if request is None else request)),
    }
    return signals_pb2.SignalRaised(**values | fields)


def values(instrument=SPOT, **changes) -> dict[str, Fact]:
    """Facts by id. ``changes``: other values, with __ for the point; None removes the fact."""
    known = {one.fact_id: one for one in instrument_facts(instrument, NOW_NS)}
    for fact_id, value, unit in (
        (fact_ids.RULES_VERSION, "3", ""),
        (fact_ids.CLOCK_TIME, str(NOW_NS), "ns"),
        (fact_ids.BID_PRICE, "60000", instrument.quote),
        (fact_ids.ASK_PRICE, "60010", instrument.quote),
        (fact_ids.BOOK_ASKED_TIME, str(NOW_NS - ANSWER_NS), "ns"),
        (fact_ids.BOOK_ANSWERED_TIME, str(NOW_NS), "ns"),
        (fact_ids.BOOK_STATE, "proven", ""),
        (fact_ids.BOOK_VENUE_TIME, str(NOW_NS), "ns"),
        (fact_ids.BOOK_CURSOR, "1700000000000-7", ""),
        (fact_ids.EQUITY, "100000", instrument.settlement_asset or instrument.quote),
    ):
        known[fact_id] = Fact(fact_id=fact_id, value=value, unit=unit, time_ns=NOW_NS)
    for name, value in changes.items():
        fact_id = name.replace("__", ".")
        if value is None:
            del known[fact_id]
        else:
            known[fact_id] = Fact(
                fact_id=fact_id, value=value, unit=known[fact_id].unit, time_ns=NOW_NS
            )
    return known


def facts(instrument=SPOT, **changes) -> DecisionFacts:
    return DecisionFacts(values(instrument, **changes).values())


def case(raised=None, known=None, rules=RULES, calibration_map=None) -> DecisionCase:
    raised = signal() if raised is None else raised
    known = facts() if known is None else known
    calibration_map = first_map(raised.strategy) if calibration_map is None else calibration_map
    return DecisionCase.of(raised, known, rules, calibration_map=calibration_map)


def platt_map(**fields) -> calibrations_pb2.CalibrationMap:
    """It makes each probability smaller than the conviction."""
    values = {
        "strategy": "ema_cross",
        "kind": calibrations_pb2.CALIBRATION_MAP_KIND_PLATT,
        "slope": 0.7,
        "intercept": -0.4,
        "outcomes": 400,
        "pooled_outcomes": 400,
        "conviction_max": 1.0,
        "brier_skill": 0.05,
        "is_applied": True,
    }
    return calibrations_pb2.CalibrationMap(**values | fields)


def signal_event(number: int = 0, raised=None) -> event_pb2.Event:
    """The event of a signal."""
    made = event_id("detector", "ema_cross", [b"signal", str(number).encode()])
    return event_pb2.Event(
        event_id=made,
        source="detector",
        instance="ema_cross",
        time_ns=BAR_END_NS,
        lifecycle_id=made,
        inputs=[event_pb2.InputCursor(venue="binance", symbol="BTCUSDT", interval="1m")],
        signal_raised=signal() if raised is None else raised,
    )


def results(decision: decisions_pb2.DecisionMade) -> dict[str, int]:
    """The result of each check of all stages."""
    return {check.name: check.result for stage in decision.stages for check in stage.checks}
