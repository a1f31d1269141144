"""What a process lacks at the moment, and the state that follows from it."""

from kit.base import telemetry
from kit.base.telemetry import Meter

_log = telemetry.logger("troubles")


class DegradedReasons:
    """Named troubles. While there is any, the process is DEGRADED and its detail tells them."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._details: dict[str, str] = {}
        meter.serving()

    def report(self, about: str, detail: str) -> None:
        """Something is wrong with this. Logged when it begins and when it changes."""
        if self._details.get(about) != detail:
            _log.warning("trouble began", extra={"about": about, "detail": detail})
            self._details[about] = detail
            self._show()

    def clear(self, about: str) -> None:
        """It is well again, or gone."""
        if self._details.pop(about, None) is not None:
            _log.info("trouble ended", extra={"about": about})
            self._show()

    def _show(self) -> None:
        if self._details:
            found = sorted(self._details.items())
            self._meter.degraded("; ".join(f"{about}: {detail}" for about, detail in found))
        else:
            self._meter.serving()
