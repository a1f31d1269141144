"""Decisions, calibration and attribution as tables for a terminal."""

from collections.abc import Iterable

from rich.table import Table
from venuemesh.advisor.v1 import decision_reports_pb2
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import calibrations_pb2, decisions_pb2, signals_pb2

from ops.tables import table, time_text, word


def decisions(found: Iterable[decision_reports_pb2.ReportedDecision]) -> Table:
    rows = (
        (
            time_text(one.time_ns),
            one.strategy,
            one.symbol,
            action(one.action, one.side),
            f"{result(one.outcome)} {f'by {one.blocked_by}' if one.blocked_by else ''}".rstrip(),
            conviction(one),
            won(one.observed) if one.HasField("observed") else "",
            one.event_id.hex(),
        )
        for one in found
    )
    names = ("time", "strategy", "symbol", "wanted", "result", "conviction", "outcome", "decision")
    return table(names, rows)


def calibrations(found: Iterable[decision_reports_pb2.RegimeCalibration]) -> Table:
    rows = (
        (
            one.map.strategy,
            regime(one.map),
            kind(one.map),
            str(one.map.outcomes),
            "yes" if one.map.is_applied else "no",
            f"{one.map.brier_skill:+.4f}" if one.map.HasField("brier_skill") else "",
            f"{one.report.calibration_error:.4f}" if one.HasField("report") else "",
            error_floor(one.report) if one.HasField("report") else "",
            "yes" if one.map.has_drifted else "no",
            one.map.reason,
        )
        for one in found
    )
    names = ("strategy", "regime", "map", "outcomes", "applied", "Brier skill", "ECE", "floor")
    return table((*names, "drifted", "detail"), rows)


def reliability(report: calibrations_pb2.CalibrationReport) -> Table:
    """Of each bin: how much the probability promises, and how much was won."""
    rows = (
        (str(one.outcomes), f"{one.mean_probability:.4f}", f"{one.win_rate:.4f}")
        for one in report.bins
    )
    return table(("outcomes", "probability", "won"), rows)


def attribution(found: Iterable[decision_reports_pb2.AttributedResult]) -> Table:
    rows = (
        (
            one.strategy,
            word(decision_reports_pb2.AttributionKind.Name(one.kind), "ATTRIBUTION_KIND_"),
            one.name,
            str(one.won),
            str(one.lost),
            str(one.unknown),
            f"{one.profit} {one.asset}" if one.profit else "",
        )
        for one in found
    )
    return table(("strategy", "due to", "name", "won", "lost", "not known", "profit"), rows)


def differences(found: Iterable[decision_reports_pb2.DecisionDifference]) -> Table:
    rows = ((one.field, one.stored, one.made) for one in found)
    return table(("field", "stored", "made again"), rows)


def action(wanted: "signals_pb2.PositionAction.ValueType", side: "types_pb2.Side.ValueType") -> str:
    """What a signal wants, for example "open buy"."""
    name = word(signals_pb2.PositionAction.Name(wanted), "POSITION_ACTION_")
    return f"{name} {word(types_pb2.Side.Name(side), 'SIDE_')}".strip()


def result(outcome: "decisions_pb2.DecisionOutcome.ValueType") -> str:
    return word(decisions_pb2.DecisionOutcome.Name(outcome), "DECISION_OUTCOME_")


def conviction(found: decision_reports_pb2.ReportedDecision) -> str:
    """After calibration, if there was one. Empty: an earlier stage has blocked."""
    if found.HasField("probability"):
        return f"{found.probability:.4f}"
    return f"{found.conviction:.4f}" if found.HasField("conviction") else ""


def won(outcome: decisions_pb2.OutcomeObserved) -> str:
    if not outcome.HasField("is_won"):
        return "not known"
    return "won" if outcome.is_won else "lost"


def regime(found: calibrations_pb2.CalibrationMap) -> str:
    if found.is_pool:
        return "all regimes"
    return found.regime or "without a name"


def kind(found: calibrations_pb2.CalibrationMap) -> str:
    """The kind of a map, for example "platt, pooled"."""
    name = word(calibrations_pb2.CalibrationMapKind.Name(found.kind), "CALIBRATION_MAP_KIND_")
    return f"{name}, pooled" if found.is_pooled else name


def error_floor(report: calibrations_pb2.CalibrationReport) -> str:
    """The ECE that a perfect map would show, and its standard deviation."""
    return f"{report.calibration_error_floor:.4f} ± {report.calibration_error_deviation:.4f}"
