"""Events that have a notice, and some that have none."""

from venuemesh.events.v1 import event_pb2, risk_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2, orders_pb2

from kit.events.event_ids import event_id


def _event(number: int) -> event_pb2.Event:
    return event_pb2.Event(
        event_id=event_id("tests", "notifier", [str(number).encode()]),
        source="tests",
        instance="notifier",
        time_ns=number,
    )


def mode_changed(
    number: int,
    after: risk_pb2.TradingMode.ValueType = risk_pb2.TRADING_MODE_HALTED,
    reason: str = "drawdown",
    caller: str = "ann",
) -> event_pb2.Event:
    """The mesh was ACTIVE."""
    event = _event(number)
    change = event.mode_changed
    change.scope, change.before, change.after = "mesh", risk_pb2.TRADING_MODE_ACTIVE, after
    change.caller, change.reason = caller, reason
    return event


def protection_changed(number: int, problem: str) -> event_pb2.Event:
    """A strategy holds a position; ``problem``: of its stop, "" for none."""
    event = _event(number)
    event.protection_changed.CopyFrom(
        risk_pb2.ProtectionChanged(
            strategy="ema",
            venue="okx",
            account="main",
            symbol="BTC-USDT",
            size="0.5",
            problem=problem,
            is_certain=bool(problem),
        )
    )
    return event


def proposal_changed(number: int, state: risk_pb2.ProposalState.ValueType) -> event_pb2.Event:
    """A model has proposed an order."""
    event = _event(number)
    change = event.proposal_changed
    change.state = state
    asked = change.requested
    asked.caller, asked.request_id, asked.reason = "robot", "r-1", "the trend"
    asked.content.venue, asked.content.account = "okx", "main"
    asked.content.symbol = "BTC-USDT"
    return event


def legacy_position_changed(number: int, size: str) -> event_pb2.Event:
    """An account holds what no strategy has opened, or holds it no more."""
    event = _event(number)
    event.legacy_position_changed.CopyFrom(
        risk_pb2.LegacyPositionChanged(
            venue="deribit", account="main", symbol="BTC-PERPETUAL", size=size
        )
    )
    return event


def position_adopted(number: int) -> event_pb2.Event:
    event = _event(number)
    event.position_adopted.CopyFrom(
        risk_pb2.PositionAdopted(
            caller="ann",
            reason="it is ours",
            venue="deribit",
            account="main",
            symbol="BTC-PERPETUAL",
            size="100",
            stop_price="59000",
        )
    )
    return event


def submitted(number: int, outcome: risk_pb2.SubmissionOutcome.ValueType) -> event_pb2.Event:
    """Two orders were handed over."""
    event = _event(number)
    event.orders_submitted.outcome = outcome
    event.orders_submitted.request_ids.extend(["lc-1", "lc-2"])
    event.orders_submitted.refusal_reason = "LIMIT_EXCEEDED"
    event.orders_submitted.detail = "20 open orders"
    return event


def order_changed(number: int, state: orders_pb2.OrderState.ValueType) -> event_pb2.Event:
    """An order is in this state now."""
    event = _event(number)
    order = event.order_changed.order
    order.content.venue, order.content.account, order.content.symbol = "okx", "main", "BTC-USDT"
    order.client_order_id, order.state, order.detail = "0af1", state, "no answer within 10 s"
    return event


def cash_moved(number: int, kind: cash_flows_pb2.CashFlowKind.ValueType) -> event_pb2.Event:
    """A balance has changed."""
    event = _event(number)
    flow = event.cash_moved.cash_flow
    flow.venue, flow.account, flow.symbol = "bybit", "main", "BTCUSDT"
    flow.kind, flow.asset, flow.amount = kind, "USDT", "-12.5"
    return event


def checkpoint_signed(
    number: int, *, first_of_day: bool = False, requested: bool = False
) -> event_pb2.Event:
    """The log was signed."""
    event = _event(number)
    signed = event.checkpoint_signed
    signed.note = "venuemesh/main\n7\nAAAA\n\n— venuemesh/main BBBB\n"
    signed.first_of_day, signed.requested = first_of_day, requested
    return event


def postings_refused(number: int) -> event_pb2.Event:
    """The ledger cannot book a fill."""
    event = _event(number)
    refused = event.postings_refused
    refused.group_id, refused.reason, refused.detail = "ev-1", "INVALID", "no side"
    return event
