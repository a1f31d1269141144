"""Online Platt scaling: a map that follows each outcome."""

import msgspec

from core.advisor.calibration.maps import log_odds, logistic

MEMORY = 1 - 1 / 200
"""What an outcome still counts after the next one: the map rests on about the last 200."""
PRIOR = 4.0
"""Added to the second derivatives, so that steps stay small after many outcomes without news."""
SLOPE_MAX = 10.0
INTERCEPT_MAX = 10.0


class OnlinePlattMap(msgspec.Struct, frozen=True, tag="online_platt"):
    """A line in log-odds that begins as the identity. Each outcome moves it by one Newton step of
    the log-loss; earlier outcomes count less and less in the second derivatives."""

    slope: float = 1.0
    intercept: float = 0.0
    by_slope: float = 0.0
    """Second derivative of the loss by the slope."""
    by_both: float = 0.0
    """By the slope and the intercept."""
    by_intercept: float = 0.0
    """By the intercept."""

    def probability(self, conviction: float) -> float:
        return logistic(self.slope * log_odds(conviction) + self.intercept)

    def updated(self, conviction: float, is_won: bool) -> "OnlinePlattMap":
        """The map after one more outcome."""
        odds = log_odds(conviction)
        predicted = logistic(self.slope * odds + self.intercept)
        error, weight = is_won - predicted, predicted * (1 - predicted)
        by_slope = MEMORY * self.by_slope + weight * odds * odds
        by_both = MEMORY * self.by_both + weight * odds
        by_intercept = MEMORY * self.by_intercept + weight
        first, second = by_slope + PRIOR, by_intercept + PRIOR
        step = error / (first * second - by_both * by_both)
        slope = self.slope + step * (second * odds - by_both)
        intercept = self.intercept + step * (first - by_both * odds)
        return OnlinePlattMap(
            min(max(slope, 0.0), SLOPE_MAX),
            min(max(intercept, -INTERCEPT_MAX), INTERCEPT_MAX),
            by_slope,
            by_both,
            by_intercept,
        )
