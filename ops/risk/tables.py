"""Verdicts and positions as tables for a terminal."""

from collections.abc import Iterable

from rich.table import Table
from venuemesh.events.v1 import checks_pb2, event_pb2, risk_pb2
from venuemesh.inspector.v1 import adoptions_pb2, capital_reports_pb2

from ops.risk.record import SimulatedEntry
from ops.tables import table, time_text, word


def title(event: event_pb2.Event) -> str:
    """What the verdict of an event is, and by which policy."""
    given = event.verdict_given
    verdict = word(risk_pb2.Verdict.Name(given.verdict), "VERDICT_")
    kind = "reduction" if given.is_reduction else "entry"
    about = f"{time_text(event.time_ns)} {event.instance}: {kind}: {verdict}"
    return f"{about}, policy {given.policy_version[:16]}, event {event.event_id.hex()}"


def checks(found: Iterable[checks_pb2.Check]) -> Table:
    rows = (
        (
            one.name,
            one.observed,
            one.projected,
            one.limit,
            one.unit,
            word(checks_pb2.CheckResult.Name(one.result), "CHECK_RESULT_"),
            one.detail,
        )
        for one in found
    )
    return table(("check", "observed", "afterwards", "limit", "unit", "result", "detail"), rows)


def legacy(found: Iterable[adoptions_pb2.LegacyPosition]) -> Table:
    rows = (
        (f"{one.venue}/{one.account}", one.symbol, one.size, time_text(one.since_time_ns))
        for one in found
    )
    return table(("account", "symbol", "size", "since"), rows)


def capital(found: Iterable[capital_reports_pb2.StrategyCapital]) -> Table:
    rows = (
        (
            one.strategy or "persons",
            one.gross,
            one.reserved,
            one.asset,
            one.limit,
            one.limit_used,
            one.equity_used,
            one.problem,
        )
        for one in found
    )
    names = ("strategy", "used", "reserved", "asset", "limit", "of limit", "of equity", "problem")
    return table(names, rows)


def suppressed(found: Iterable[capital_reports_pb2.SuppressedSignals]) -> Table:
    rows = (
        (
            one.strategy,
            one.refused_by,
            one.reason,
            str(one.signals),
            str(one.won),
            str(one.lost),
            str(one.unknown),
            f"{one.profit} {one.asset}" if one.profit else "",
        )
        for one in found
    )
    names = ("strategy", "refused by", "check", "signals", "won", "lost", "not known")
    return table((*names, "would have brought"), rows)


def simulated(found: Iterable[SimulatedEntry]) -> Table:
    rows = (
        (
            time_text(one.time_ns),
            f"{one.entry.position_key.venue}/{one.entry.position_key.account}",
            one.entry.position_key.symbol,
            one.entry.position_key.strategy,
            "allowed" if one.verdict.was_allowed else "blocked",
            "allowed" if one.verdict.is_allowed else "blocked",
            ", ".join(one.verdict.blocked_by),
            ", ".join(one.verdict.not_recorded),
            one.event_id.hex(),
        )
        for one in found
    )
    names = ("time", "account", "symbol", "strategy", "was", "would be", "by", "not recorded")
    return table((*names, "event"), rows)
