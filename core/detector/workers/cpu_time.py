"""CPU time of a process, which does not grow while the machine is busy with other work."""

import os
import sys
from pathlib import Path
from typing import NamedTuple


class CpuTime(NamedTuple):
    """The CPU time of a process."""

    seconds: float
    """CPU seconds; on other systems than Linux, passed seconds."""
    is_asleep: bool
    """Whether it waits for something."""


def read(process_id: int, passed_seconds: float) -> CpuTime:
    """Zero for a process that has ended. ``passed_seconds``: of any clock."""
    if sys.platform != "linux":
        return CpuTime(passed_seconds, is_asleep=False)
    try:
        text = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return CpuTime(0.0, is_asleep=False)
    # The name of the program may have any character; what follows it has a fixed place.
    state, *fields = text.rpartition(")")[2].split()
    ticks = int(fields[10]) + int(fields[11])
    return CpuTime(ticks / os.sysconf("SC_CLK_TCK"), state == "S")
