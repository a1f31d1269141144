"""A playback as a separate process."""

from pathlib import Path

from tests.support.service_process import ServiceProcess
from tests.support.waiting import WAIT_SECONDS_MAX


def playback_process(database_url: str, data: Path, **settings: str) -> ServiceProcess:
    """It is not started yet. ``settings`` are those of the playback."""
    chosen = {"venue": "binance", "database_url": database_url, **settings}
    return ServiceProcess(
        "playback",
        {
            "DATA_DIR": str(data),
            "WORLD": "replay",
            "ORDERS_PAPER_LATENCY_MS": "0",
            "ORDERS_PAPER_JITTER_MS": "0",
            **{f"PLAYBACK_{name.upper()}": value for name, value in chosen.items()},
        },
        ("-m", "ops.cli", "run", "playback"),
    )


def refusal(process: ServiceProcess) -> tuple[int, str]:
    """Exit code and the error line of a process that does not start."""
    _, written = process.process.communicate(timeout=WAIT_SECONDS_MAX)
    own = [line for line in written.decode().splitlines() if line.startswith("venuemesh: ")]
    return process.process.returncode, "\n".join(own)
