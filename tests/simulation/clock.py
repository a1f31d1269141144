"""The clock of the process, and the actual time."""

from kit.execution.tests.simulated_process import START_NS, LoopClock


class ActualClock(LoopClock):
    """The clock of the process, which may be wrong, and the actual time."""

    def actual_ns(self):
        return START_NS + self.monotonic_ns()
