"""Chooses the map of each regime of a strategy from the sequence of its outcomes."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from core.advisor.calibration.drift import AdaptiveWindow, MeanChange
from core.advisor.calibration.fitting import OutcomeSeries, fit_shift
from core.advisor.calibration.maps import CalibrationMap, log_loss
from core.advisor.calibration.online import OnlinePlattMap
from core.advisor.calibration.report import CalibrationReport
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
UNPROVEN_CONVICTION_MAX = 0.5
"""Cap of a conviction from a drift until a map is fitted to the outcomes after it, and while the
map is not better than the base rate."""
REGIMES_MAX = 256
"""Regimes with outcomes of their own. Outcomes of further ones count in the pool only."""
POOL = None
"""Instead of a regime: the map for regimes without outcomes, from those of all regimes."""


class CalibrationOutcome(NamedTuple):
    """The outcome of one decision."""

    regime: str
    conviction: float
    """Of stage 4, from 0 to 1."""
    is_won: bool


class RegimeMap(NamedTuple):
    """The map in force in a regime."""

    kind: MapKind
    map: CalibrationMap
    is_pooled: bool
    """Whether it is the map of all regimes, drawn towards the base rate of this one."""
    outcomes: int
    """Outcomes of the regime since its last drift."""
    pooled_outcomes: int
    """Outcomes of all regimes since their last drift."""
    conviction_max: float
    report: CalibrationReport | None
    """How well the map predicts held-out outcomes. None: no map was chosen yet."""
    identity_log_loss: float
    """Mean loss of the conviction itself on the same outcomes, in nats."""
    is_applied: bool
    """Whether decisions use the map. Otherwise they keep the conviction, up to the cap."""
    reason: str
    """Why it is not applied, or is no map of the regime's own. Empty otherwise."""
    has_drifted: bool
    """Whether the map before has drifted, and too few outcomes since then are known."""

    def probability(self, conviction: float) -> float:
        """The calibrated conviction, up to the cap."""
        found = self.map.probability(conviction) if self.is_applied else conviction
        return min(found, self.conviction_max)

    def is_same_map(self, other: "RegimeMap") -> bool:
        """Whether both make the same of every conviction, with the same report."""
        return other == self._replace(
            outcomes=other.outcomes, pooled_outcomes=other.pooled_outcomes, reason=other.reason
        )


class CalibrationDrift(NamedTuple):
    """The log-loss of a map has risen."""

    regime: str | None
    loss: MeanChange


class CalibrationChange(NamedTuple):
    """The effect of one outcome."""

    drifts: tuple[CalibrationDrift, ...]
    maps: Mapping[str | None, RegimeMap]
    """The regimes in which another map is in force now, and the map."""


class RegimeSeries(msgspec.Struct):
    """Outcomes since the last drift, and their map."""

    window: AdaptiveWindow = msgspec.field(default_factory=lambda: AdaptiveWindow(DRIFT_LOSS_MAX))
    convictions: list[float] = []
    wins: list[bool] = []
    since_selection: int = 0
    has_drifted: bool = False
    selection: MapSelection = msgspec.field(default_factory=lambda: select(OutcomeSeries([], [])))

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
        self.since_selection, self.has_drifted = 0, kept < OWN_MAP_MIN
        self.selection = select(self.outcomes())
        return change


class Calibrator:
    """The maps of all regimes of a strategy, after the outcomes so far."""

    def __init__(self, series: Mapping[str | None, RegimeSeries] | None = None) -> None:
        self.series = {POOL: RegimeSeries(), **(series or {})}
        """Of each regime with outcomes, and of all together."""
        self.maps = {regime: self._map_of(regime) for regime in self.series}
        """The map in force of each of them."""

    def map_of(self, regime: str) -> RegimeMap:
        """The map for the next decision in a regime."""
        return self.maps.get(regime, self.maps[POOL])

    def observe(self, outcome: CalibrationOutcome) -> CalibrationChange:
        """Learn from the next outcome."""
        regime, conviction, is_won = outcome
        if regime not in self.series and len(self.series) <= REGIMES_MAX:
            self.series[regime] = RegimeSeries()
            self.maps[regime] = self._map_of(regime)
        drifts = []
        for name in (POOL, regime) if regime in self.series else (POOL,):
            series = self.series[name]
            # Without the cap, which would hide that the map fits again.
            predicted = self.maps[name].map.probability(conviction)
            change = series.watch(log_loss(predicted, is_won))
            if change is not None:
                drifts.append(CalibrationDrift(name, change))
            series.add(conviction, is_won)
        return CalibrationChange(tuple(drifts), self._updated())

    def _updated(self) -> Mapping[str | None, RegimeMap]:
        """Compute the maps in force. Returns the changed ones."""
        before = self.maps
        self.maps = {regime: self._map_of(regime) for regime in self.series}
        changed = (one for one in self.maps if not self.maps[one].is_same_map(before[one]))
        return {regime: self.maps[regime] for regime in changed}

    def _map_of(self, regime: str | None) -> RegimeMap:
        own, pool = self.series[regime], self.series[POOL]
        has_own = regime is POOL or own.has_drifted or bool(own.selection.log_losses)
        series = own if has_own else pool
        selection = series.selection
        chosen: CalibrationMap = selection.map
        if not has_own and selection.log_losses:
            chosen = fit_shift(chosen, own.outcomes(), HALF_WEIGHT_OUTCOMES)
        refusals = tuple(_refusals(series))
        is_unproven = series.has_drifted or bool(selection.log_losses and refusals)
        reasons = refusals
        if not has_own and selection.log_losses:
            text = f"{len(own.wins)} outcomes in the regime; {OWN_MAP_MIN} are needed"
            reasons = (text, *refusals)
        return RegimeMap(
            selection.kind,
            chosen,
            not has_own,
            len(own.wins),
            len(pool.wins),
            UNPROVEN_CONVICTION_MAX if is_unproven else 1.0,
            selection.report,
            selection.log_losses.get(MapKind.IDENTITY, 0.0),
            not refusals,
            "; ".join(reasons),
            series.has_drifted,
        )


def _refusals(series: RegimeSeries) -> Iterator[str]:
    """Why decisions do not use the map of a series."""
    report, known = series.selection.report, len(series.wins)
    if series.has_drifted:
        yield (
            f"the log-loss of the map before has risen; {known} outcomes since then,"
            f" {OWN_MAP_MIN} are needed"
        )
    elif report is None:
        yield f"{known} outcomes in all regimes; {OWN_MAP_MIN} are needed"
    elif report.brier_skill is None:
        yield f"all {report.outcomes} held-out outcomes are equal, so that no skill can be measured"
    elif report.brier_skill <= 0:
        yield (
            f"the Brier skill against the base rate is {report.brier_skill:.4f} over"
            f" {report.outcomes} held-out outcomes; it must be above 0"
        )
