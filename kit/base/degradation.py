"""The reasons why a process is degraded, and the state that follows from them."""

from kit.base import telemetry
from kit.base.telemetry import Meter

_log = telemetry.logger("degradation")


class DegradedReasons:
    """Named reasons. While there is one, the process is DEGRADED, and its detail lists them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._details: dict[str, str] = {}
        meter.serving()

    def report(self, about: str, detail: str) -> None:
        """Add or change a reason. Logged when it is new or different."""
        if self._details.get(about) != detail:
            _log.warning("degraded reason added", extra={"about": about, "detail": detail})
            self._details[about] = detail
            self._show()

    def clear(self, about: str) -> None:
        """Remove a reason, if it is there."""
        if self._details.pop(about, None) is not None:
            _log.info("degraded reason cleared", extra={"about": about})
            self._show()

    def set(self, about: str, detail: str) -> None:
        """Add or change a reason; clear it if the detail is empty."""
        if detail:
            self.report(about, detail)
        else:
            self.clear(about)

    def _show(self) -> None:
        if self._details:
            found = sorted(self._details.items())
            self._meter.degraded("; ".join(f"{about}: {detail}" for about, detail in found))
        else:
            self._meter.serving()
