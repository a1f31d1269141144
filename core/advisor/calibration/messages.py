"""Maps and reports as messages of events, and back."""

from typing import TYPE_CHECKING, TypeAlias

from venuemesh.events.v1 import calibrations_pb2

from core.advisor.calibration.calibrator import POOL, CalibrationDrift, RegimeMap
from core.advisor.calibration.maps import (
    CalibrationMap,
    IdentityMap,
    IsotonicMap,
    PlattMap,
    ShiftedMap,
)
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.selection import MapKind

if TYPE_CHECKING:
    MapKindNumber: TypeAlias = calibrations_pb2.CalibrationMapKind.ValueType
else:
    # Enum values are plain integers at run time; their type exists for the checker only.
    MapKindNumber = int

KINDS: dict[MapKind, MapKindNumber] = {
    MapKind.IDENTITY: calibrations_pb2.CALIBRATION_MAP_KIND_IDENTITY,
    MapKind.PLATT: calibrations_pb2.CALIBRATION_MAP_KIND_PLATT,
    MapKind.ONLINE_PLATT: calibrations_pb2.CALIBRATION_MAP_KIND_ONLINE_PLATT,
    MapKind.ISOTONIC: calibrations_pb2.CALIBRATION_MAP_KIND_ISOTONIC,
}
LINES = (
    calibrations_pb2.CALIBRATION_MAP_KIND_PLATT,
    calibrations_pb2.CALIBRATION_MAP_KIND_ONLINE_PLATT,
)


def map_message(
    strategy: str, regime: str | None, found: RegimeMap
) -> calibrations_pb2.CalibrationMap:
    """The map in force in a regime of a strategy."""
    message = calibrations_pb2.CalibrationMap(
        strategy=strategy,
        regime=regime or "",
        is_pool=regime is POOL,
        kind=KINDS[found.kind],
        is_pooled=found.is_pooled,
        outcomes=found.outcomes,
        pooled_outcomes=found.pooled_outcomes,
        conviction_max=found.conviction_max,
        brier_skill=None if found.report is None else found.report.brier_skill,
        is_applied=found.is_applied,
        reason=found.reason,
        has_drifted=found.has_drifted,
    )
    chosen = found.map
    if isinstance(chosen, ShiftedMap):
        message.shift, chosen = chosen.shift, chosen.pooled
    match chosen:
        case PlattMap() | OnlinePlattMap():
            message.slope, message.intercept = chosen.slope, chosen.intercept
        case IsotonicMap():
            message.convictions.extend(chosen.convictions)
            message.probabilities.extend(chosen.probabilities)
    return message


def read_map(message: calibrations_pb2.CalibrationMap) -> CalibrationMap:
    """The map of a message. Raises ValueError."""
    chosen: CalibrationMap
    if message.kind in LINES:
        # Applied, both are the same line; only further outcomes move them differently.
        chosen = PlattMap(message.slope, message.intercept)
    elif message.kind == calibrations_pb2.CALIBRATION_MAP_KIND_ISOTONIC:
        convictions, probabilities = tuple(message.convictions), tuple(message.probabilities)
        if not convictions or len(convictions) != len(probabilities):
            raise ValueError(
                f"an isotonic map has {len(convictions)} convictions and {len(probabilities)}"
                " probabilities; allowed is one probability for each conviction"
            )
        chosen = IsotonicMap(convictions, probabilities)
    else:
        chosen = IdentityMap()
    return ShiftedMap(chosen, message.shift) if message.shift else chosen


def updated_message(
    strategy: str, regime: str | None, found: RegimeMap
) -> calibrations_pb2.CalibrationUpdated:
    """The map in force, and how well it predicts."""
    message = calibrations_pb2.CalibrationUpdated(map=map_message(strategy, regime, found))
    report = found.report
    if report is not None:
        message.report.CopyFrom(
            calibrations_pb2.CalibrationReport(
                outcomes=report.outcomes,
                log_loss=report.log_loss,
                identity_log_loss=found.identity_log_loss,
                brier_score=report.brier_score,
                calibration_error=report.calibration_error,
                calibration_error_floor=report.calibration_error_floor,
                calibration_error_deviation=report.calibration_error_deviation,
            )
        )
        for one in report.bins:
            message.report.bins.add(**one._asdict())
    return message


def drift_message(strategy: str, drift: CalibrationDrift) -> calibrations_pb2.CalibrationDrift:
    return calibrations_pb2.CalibrationDrift(
        strategy=strategy,
        regime=drift.regime or "",
        is_pool=drift.regime is POOL,
        log_loss_before=drift.loss.before,
        log_loss_after=drift.loss.after,
        outcomes=drift.loss.values,
    )
