"""Modes and positions of strategies as tables for a terminal."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from venuemesh.events.v1 import reconciliations_pb2, risk_pb2
from venuemesh.inspector.v1 import inspector_pb2
from venuemesh.inspector.v1 import reconciliations_pb2 as accounts_pb2

from ops.tables import table, time_text, word

PREFIX = "TRADING_MODE_"
CAUSE_PREFIX = "RECONCILIATION_CAUSE_"


def modes(found: Iterable[inspector_pb2.ModeState]) -> Table:
    rows = (
        (
            one.scope,
            word(risk_pb2.TradingMode.Name(one.mode), PREFIX),
            time_text(one.changed_time_ns) if one.changed_time_ns else "",
            one.caller or one.rule,
            one.reason,
        )
        for one in found
    )
    return table(("scope", "mode", "set", "by", "reason"), rows)


def positions(found: Iterable[inspector_pb2.StrategyPosition]) -> Table:
    rows = (
        (
            one.strategy,
            f"{one.venue}/{one.account}",
            one.symbol,
            one.size,
            _state(one),
            _waits_for(one),
        )
        for one in found
    )
    return table(("strategy", "account", "symbol", "size", "state", "problem"), rows)


def reconciliations(found: Iterable[accounts_pb2.AccountReconciliation]) -> Table:
    rows = (
        (
            f"{one.venue}/{one.account}",
            word(accounts_pb2.ReconciliationState.Name(one.state), "RECONCILIATION_STATE_"),
            time_text(one.compared_time_ns),
            time_text(one.agreed_time_ns) if one.agreed_time_ns else "never",
            one.unreadable,
        )
        for one in found
    )
    return table(("account", "state", "compared", "agreed last", "not readable"), rows)


def differences(found: Iterable[accounts_pb2.AccountReconciliation]) -> Table:
    rows = (
        (
            f"{account.venue}/{account.account}",
            word(reconciliations_pb2.ReconciledItem.Name(one.item), "RECONCILED_ITEM_"),
            " ".join(filter(None, (one.subject, one.strategy, one.order_id))),
            one.venue_value,
            one.ledger_value,
            one.inspector_value,
            word(reconciliations_pb2.ReconciliationCause.Name(one.cause), CAUSE_PREFIX),
            time_text(one.first_seen_time_ns),
            one.detail,
        )
        for account in found
        for one in account.differences
    )
    names = ("account", "what", "of", "venue", "ledger", "inspector", "cause", "since", "detail")
    return table(names, rows)


def unfenced(accounts: Sequence[str]) -> str:
    """What a person has to know of accounts without a fence; "" if there are none."""
    if not accounts:
        return ""
    named = ", ".join(accounts)
    return f"entries that were approved before may still be taken: {named}; it is tried again"


def _state(position: inspector_pb2.StrategyPosition) -> str:
    if position.ended_time_ns:
        return "ended; too small to trade"
    return "closing" if position.is_closing else ""


def _waits_for(position: inspector_pb2.StrategyPosition) -> str:
    count = position.waiting_reductions
    waiting = f"{count} more to reduce it" if count else ""
    found = (position.protection_problem, position.problem, waiting)
    return "; ".join(filter(None, found))
