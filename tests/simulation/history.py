"""What happened in one run, and which promises were broken."""

import logging
from collections import Counter
from collections.abc import Callable
from enum import Enum

from kit.base.errors import VenuemeshError
from kit.base.telemetry import ROOT_LOGGER
from kit.execution.tests.simulated_process import PROCESS


class Promise(Enum):
    """What holds whatever happens to the process and its venue."""

    ONE_EXIT = "at most one exit of a group is at the venue"
    CLOSED = "no more is closed than was opened"
    KNOWN = "every open order at the venue is known after reconciling"
    STOPS = "a stop is working, filled, cancelled by request, or published as LEFT_OPEN"
    RESOLVED = "no order stays UNKNOWN, and no cancel or amendment stays pending"
    SENT_ONCE = "no order id is sent twice"
    AGREEMENT = "orders, fills, balances and positions are those of the venue"
    APPROVED = "nothing is done for an approval that is not valid"
    DEAD_MAN = "silence ends all entries and leaves the protective orders"
    CANCELLED = "a cancel that was confirmed to its caller stays"
    ONCE = "a request to place, to cancel all or to flatten that was answered has no second effect"
    LIMITED = "no order is taken beyond a limit of the account"
    REDUCED = "no reduction is held back by a limit"
    READY = "the account becomes ready once nothing fails any more"
    NO_ERROR = "no task fails with an unexpected error"


class History:
    """The events of one run, oldest first."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.lines: list[str] = []
        self.counts: Counter[str] = Counter()
        """How many events of each kind there were."""
        self.broken: list[tuple[Promise, str]] = []

    def note(self, kind: str, text: str = "") -> None:
        """Add an event. ``kind`` is counted."""
        self.counts[kind] += 1
        self.lines.append(f"{self._now_s():8.3f} s  {kind} {text}".rstrip())

    def broke(self, promise: Promise, text: str) -> None:
        """Add a broken promise."""
        self.broken.append((promise, text))
        self.note("BROKEN:", f"{promise.value}: {text}")


class UnexpectedErrors(logging.Handler):
    """Notes the errors that are logged with a traceback: no fault of venue or disk causes one."""

    def __init__(self, history) -> None:
        super().__init__(logging.ERROR)
        self._history = history

    def emit(self, record) -> None:
        error = record.exc_info[1] if record.exc_info else None
        process = PROCESS.get()
        is_dead = process is not None and process.is_dead
        if error is not None and not is_dead and not isinstance(error, VenuemeshError):
            self._history.broke(Promise.NO_ERROR, f"{record.getMessage()}: {error!r}")

    def __enter__(self):
        logger = logging.getLogger(ROOT_LOGGER)
        self._before = logger.propagate, logger.level
        logger.propagate = False
        logger.addHandler(self)
        return self

    def __exit__(self, *error):
        logger = logging.getLogger(ROOT_LOGGER)
        logger.removeHandler(self)
        logger.propagate, _ = self._before
