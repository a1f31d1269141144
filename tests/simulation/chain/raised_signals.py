"""Signals that another detector raises for the same strategy."""

from venuemesh.events.v1 import event_pb2, signals_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.events.event_ids import event_id

OPEN, REDUCE = signals_pb2.POSITION_ACTION_OPEN, signals_pb2.POSITION_ACTION_REDUCE
ACTIONS = (
    OPEN,
    signals_pb2.POSITION_ACTION_CLOSE,
    REDUCE,
    REDUCE,
    signals_pb2.POSITION_ACTION_FLIP,
)


def raised_signal(number, action, bar, sides, now_ns, chance, *, trails):
    """The event of a signal. ``number``: which one it is. ``trails``: whether its stop does."""
    signal_id = event_id("detector", "other", [str(number).encode()])
    raised = signals_pb2.SignalRaised(
        strategy="always",
        venue="binance",
        symbol="BTCUSDT",
        account="paper",
        action=action,
        side=chance.choice(sides),
        conviction=0.8,
        expires_time_ns=now_ns + chance.choice((1, 5, 20)) * NANOSECONDS_PER_SECOND,
        bar=bar,
    )
    raised.request.notional = "400"
    raised.request.stop_distance, raised.request.target_distance = "300", "600"
    if trails:
        raised.request.trailing_distance = "150"
    if action == REDUCE:
        raised.request.reduce_fraction = chance.choice(("0.5", "0.3"))
    return event_pb2.Event(
        event_id=signal_id,
        source="detector",
        instance="other",
        time_ns=now_ns,
        lifecycle_id=signal_id,
        signal_raised=raised,
    )
