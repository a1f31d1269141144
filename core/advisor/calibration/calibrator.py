"""Chooses the map of each regime from a sequence of outcomes."""

from dataclasses import dataclass, field
from typing import NamedTuple

from core.advisor.calibration.drift import AdaptiveWindow, MeanChange
from core.advisor.calibration.fitting import OutcomeSeries, fit_shift
from core.advisor.calibration.maps import CalibrationMap, IdentityMap, log_loss
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.selection import OUTCOMES_MIN, MapKind, MapSelection, select

OWN_MAP_MIN = OUTCOMES_MIN[MapKind.PLATT]
"""Outcomes from which a regime has a map of its own."""
OUTCOMES_MAX = 5_000
"""Newest outcomes of a regime, and of all regimes together, from which maps are fitted."""
REFIT_OUTCOMES = 50
"""Outcomes between two selections."""
HALF_WEIGHT_OUTCOMES = 100
"""Outcomes of a regime with which the pooled map moves half the way to the regime's base rate."""
DRIFT_LOSS_MAX = 2.0
"""A larger loss of one outcome counts as this in the search for drift, in nats."""
DRIFT_CONVICTION_MAX = 0.5
"""Cap of a conviction from a drift until a map is fitted to the outcomes after it."""
REGIMES_MAX = 256
"""Regimes with outcomes of their own. Outcomes of further ones count in the pool only."""


class CalibrationOutcome(NamedTuple):
    """The outcome of one decision."""

    regime: str
    conviction: float
    """Of stage 4, from 0 to 1."""
    is_won: bool


class RegimeMap(NamedTuple):
    """The map in force in a regime."""

    name: str
    """A kind, or "pooled": the map of all regimes, drawn towards the base rate of this one."""
    map: CalibrationMap
    outcomes: int
    """Outcomes of the regime since its last drift."""
    conviction_max: float
    reason: str
    """Why it is no map of the regime's own, or why there is a cap. Empty otherwise."""

    def probability(self, conviction: float) -> float:
        """The calibrated conviction, up to the cap."""
        return min(self.map.probability(conviction), self.conviction_max)


class CalibrationChange(NamedTuple):
    """The effect of one outcome."""

    drift: MeanChange | None
    """A rise of the log-loss of the map that was in force."""
    map: RegimeMap
    """The map in force now."""


@dataclass
class _Series:
    """Outcomes since the last drift, and their map."""

    window: AdaptiveWindow = field(default_factory=lambda: AdaptiveWindow(DRIFT_LOSS_MAX))
    convictions: list[float] = field(default_factory=list)
    wins: list[bool] = field(default_factory=list)
    since_selection: int = 0
    has_drifted: bool = False
    selection: MapSelection = field(default_factory=lambda: select(OutcomeSeries([], [])))

    def outcomes(self) -> OutcomeSeries:
        return OutcomeSeries(self.convictions, self.wins)

    def add(self, conviction: float, is_won: bool) -> None:
        self.convictions.append(conviction)
        self.wins.append(is_won)
        del self.convictions[:-OUTCOMES_MAX], self.wins[:-OUTCOMES_MAX]
        self.since_selection += 1
        chosen = self.selection.map
        if isinstance(chosen, OnlinePlattMap):
            self.selection = self.selection._replace(map=chosen.updated(conviction, is_won))
        if self.since_selection >= REFIT_OUTCOMES:
            self.since_selection = 0
            self.selection = select(self.outcomes())
            self.has_drifted &= len(self.wins) < OWN_MAP_MIN

    def watch(self, loss: float) -> MeanChange | None:
        """Look for a rise of the loss. After one, only the outcomes since then count."""
        change = self.window.add(loss)
        if change is None or change.after <= change.before:
            return None
        # The window has the newest loss already, the series not yet its outcome.
        kept = change.values - 1
        del self.convictions[:-kept], self.wins[:-kept]
        self.since_selection, self.has_drifted = 0, True
        self.selection = select(self.outcomes())
        return change


class Calibrator:
    """The maps of all regimes, after the outcomes so far."""

    def __init__(self) -> None:
        self._pool = _Series()
        self._regimes: dict[str, _Series] = {}

    def map_of(self, regime: str) -> RegimeMap:
        """The map for the next decision in a regime."""
        series = self._regimes.get(regime, _Series())
        known = len(series.wins)
        reasons = []
        if series.has_drifted:
            reasons.append(f"the log-loss of the map before has risen {known} outcomes ago")
        cap = DRIFT_CONVICTION_MAX if series.has_drifted else 1.0
        if series.selection.log_losses:
            name, chosen = str(series.selection.kind), series.selection.map
        elif series.has_drifted:
            name, chosen = str(MapKind.IDENTITY), IdentityMap()
        elif self._pool.selection.log_losses:
            name = "pooled"
            pooled = self._pool.selection.map
            chosen = fit_shift(pooled, series.outcomes(), HALF_WEIGHT_OUTCOMES)
            reasons.append(f"{known} outcomes in the regime; {OWN_MAP_MIN} are needed")
        else:
            name, chosen = str(MapKind.IDENTITY), IdentityMap()
            known_in_all = len(self._pool.wins)
            reasons.append(f"{known_in_all} outcomes in all regimes; {OWN_MAP_MIN} are needed")
        return RegimeMap(name, chosen, known, cap, "; ".join(reasons))

    def observe(self, outcome: CalibrationOutcome) -> CalibrationChange:
        """Learn from the next outcome."""
        regime, conviction, is_won = outcome
        if regime not in self._regimes and len(self._regimes) < REGIMES_MAX:
            self._regimes[regime] = _Series()
        drift = None
        series = self._regimes.get(regime)
        if series is not None:
            # Without the cap, which would hide that the map fits again.
            predicted = self.map_of(regime).map.probability(conviction)
            drift = series.watch(log_loss(predicted, is_won))
            series.add(conviction, is_won)
        self._pool.watch(log_loss(self._pool.selection.map.probability(conviction), is_won))
        self._pool.add(conviction, is_won)
        return CalibrationChange(drift, self.map_of(regime))
