"""Modes and positions of strategies as tables for a terminal."""

from collections.abc import Iterable

from rich.table import Table
from venuemesh.events.v1 import risk_pb2
from venuemesh.inspector.v1 import inspector_pb2

from ops.tables import table, time_text, word

PREFIX = "TRADING_MODE_"


def modes(found: Iterable[inspector_pb2.ModeState]) -> Table:
    rows = (
        (
            one.scope,
            word(risk_pb2.TradingMode.Name(one.mode), PREFIX),
            time_text(one.changed_time_ns) if one.changed_time_ns else "",
            one.caller,
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
            "closing" if one.is_closing else "",
            one.problem,
        )
        for one in found
    )
    return table(("strategy", "account", "symbol", "size", "state", "waits for"), rows)
