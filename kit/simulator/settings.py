"""Settings of the simulator, section ``simulator``."""

from pathlib import Path

import msgspec

from kit.base.errors import SettingError

FUNDING_INTERVAL_S_MAX = 86_400
SPEED_ALLOWED = "allowed are a number above 0 (times as fast), or max"


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the simulated exchange listens, and what it plays."""

    port: int = 8300
    """HTTP and websocket, all venues."""
    seed: int = 1
    """The same seed gives the same market and the same faults."""
    speed: str = "1"
    """Times as fast as the clock, or "max": as fast as the slowest connection reads."""
    events_per_second: int = 200
    """World simulate: trades and changes of best price, of all instruments of a venue together."""
    funding_interval_s: int = 28_800
    """World simulate: from one funding of perpetual contracts to the next."""
    replay: list[str] = []
    """World replay: VENUE=FILE; the same venue more than once: one file after the other."""
    start_delay_ms: int = 600
    """A capture starts when no client has subscribed for so long, so that all get its beginning.
    Longer than a client pauses between two messages to keep to the limits of an exchange."""
    faults: str = ""
    """File with faults to switch on, one JSON object per line, ``at_s`` seconds after the start."""

    def __post_init__(self) -> None:
        parse_speed(self.speed)
        for entry in self.replay:
            venue, _, file = entry.partition("=")
            if not venue or not file:
                raise SettingError("simulator.replay", entry, "must be VENUE=FILE")
        if not 1 <= self.events_per_second <= 1_000_000:
            allowed = "allowed are 1 to 1000000"
            raise SettingError("simulator.events_per_second", self.events_per_second, allowed)
        if not 1 <= self.funding_interval_s <= FUNDING_INTERVAL_S_MAX:
            allowed = f"allowed are 1 to {FUNDING_INTERVAL_S_MAX}"
            raise SettingError("simulator.funding_interval_s", self.funding_interval_s, allowed)

    def captures(self) -> dict[str, list[Path]]:
        """The files to replay, by venue id."""
        found: dict[str, list[Path]] = {}
        for entry in self.replay:
            venue, _, file = entry.partition("=")
            found.setdefault(venue, []).append(Path(file).expanduser())
        return found


def parse_speed(text: str) -> float | None:
    """Times as fast; None for max. Raises SettingError."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise SettingError("simulator.speed", text, SPEED_ALLOWED)
    return speed
