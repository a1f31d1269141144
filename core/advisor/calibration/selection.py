"""Chooses a map by its log-loss on outcomes that it was not fitted to."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from core.advisor.calibration.fitting import OutcomeSeries, fit_isotonic, fit_platt
from core.advisor.calibration.maps import IdentityMap, IsotonicMap, PlattMap, log_loss
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.report import CalibrationReport, calibration_report

FittedMap: TypeAlias = IdentityMap | PlattMap | OnlinePlattMap | IsotonicMap

FITTED_PART = 3
"""The first third of the outcomes is only fitted to."""
BLOCKS = 6
"""Parts of the others. A map for a part is fitted to all outcomes before it."""


class MapKind(StrEnum):
    """Kinds of maps, the plainest first: it wins a tie."""

    IDENTITY = "identity"
    PLATT = "platt"
    ONLINE_PLATT = "online_platt"
    ISOTONIC = "isotonic"


OUTCOMES_MIN = {
    MapKind.IDENTITY: 0,
    MapKind.PLATT: 200,
    MapKind.ONLINE_PLATT: 200,
    MapKind.ISOTONIC: 1_000,
}
"""Outcomes from which a kind may be chosen."""


class MapSelection(NamedTuple):
    """The chosen map, fitted to all outcomes."""

    kind: MapKind
    map: FittedMap
    log_losses: dict[MapKind, float]
    """Mean held-out loss of each kind that may be chosen, in nats. Empty if there is no choice."""
    report: CalibrationReport | None
    """Of the chosen kind on the held-out outcomes. None if there is no choice."""


def select(outcomes: OutcomeSeries) -> MapSelection:
    """The kind of least held-out log-loss."""
    count = len(outcomes.wins)
    kinds = [kind for kind in MapKind if count >= OUTCOMES_MIN[kind]]
    if kinds == [MapKind.IDENTITY]:
        return MapSelection(MapKind.IDENTITY, IdentityMap(), {}, None)
    won = outcomes.wins[_borders(count)[0] :]
    predicted = {kind: held_out_probabilities(kind, outcomes) for kind in kinds}
    losses = {kind: sum(map(log_loss, predicted[kind], won)) / len(won) for kind in kinds}
    chosen = min(kinds, key=losses.__getitem__)
    report = calibration_report(predicted[chosen], won)
    return MapSelection(chosen, fit(chosen, outcomes), losses, report)


def fit(kind: MapKind, outcomes: OutcomeSeries) -> FittedMap:
    """The map of a kind, fitted to the outcomes."""
    match kind:
        case MapKind.IDENTITY:
            return IdentityMap()
        case MapKind.PLATT:
            return fit_platt(outcomes)
        case MapKind.ISOTONIC:
            return fit_isotonic(outcomes)
        case MapKind.ONLINE_PLATT:
            *_, last = _online(outcomes)
            return last


def held_out_probabilities(kind: MapKind, outcomes: OutcomeSeries) -> list[float]:
    """The probability of each outcome after the first third, by a map fitted to earlier outcomes
    only: those before its block, or for online Platt scaling all before it."""
    borders = _borders(len(outcomes.wins))
    if kind == MapKind.ONLINE_PLATT:
        maps = zip(_online(outcomes), outcomes.convictions, strict=False)
        return [one.probability(conviction) for one, conviction in maps][borders[0] :]
    found: list[float] = []
    for start, end in pairwise(borders):
        fitted = fit(kind, outcomes.before(start))
        found += map(fitted.probability, outcomes.convictions[start:end])
    return found


def _borders(count: int) -> list[int]:
    first = count // FITTED_PART
    return [first + (count - first) * block // BLOCKS for block in range(BLOCKS + 1)]


def _online(outcomes: OutcomeSeries) -> Iterator[OnlinePlattMap]:
    """The map before the first outcome and after each."""
    current = OnlinePlattMap()
    yield current
    for conviction, is_won in zip(*outcomes, strict=True):
        current = current.updated(conviction, is_won)
        yield current
