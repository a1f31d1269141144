"""The metrics of Repair, by venue."""

from kit.base.telemetry import Meter


class RepairMetrics:
    """Counters of holes, repaired trades and past candles."""

    def __init__(self, meter: Meter) -> None:
        self._found = meter.counter("holes_found", "Holes that were found", "venue")
        self._filled = meter.counter("holes_filled", "Holes that were filled", "venue")
        self._unavailable = meter.counter(
            "holes_unavailable", "Holes that the venue could not fill", "venue"
        )
        self._trades = meter.counter(
            "repaired_trades", "Trades that were missing and are recorded now", "venue"
        )
        self._past_candles = meter.counter(
            "past_candles", "Candles of the venues that were fetched into the record", "venue"
        )

    def past_candles(self, venue: str, count: int) -> None:
        """Count recorded candles of the time before the first start."""
        self._past_candles.labels(venue).inc(count)

    def found(self, venue: str, holes: int) -> None:
        if holes:
            self._found.labels(venue).inc(holes)

    def ended(self, venue: str, filled: bool, trades: int) -> None:
        """Count a hole that has ended, and the trades that were added to it."""
        (self._filled if filled else self._unavailable).labels(venue).inc()
        self._trades.labels(venue).inc(trades)
