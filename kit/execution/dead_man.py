"""Nobody is at the wheel: when the order authority, once heard of, is silent, all is cancelled.

Where the venue can do so by itself it is told to, again and again while the authority lives: it
then cancels also when this process is dead. That is left on at an orderly stop; the process that
comes next takes it over, or the venue cancels.
"""

from collections.abc import Awaitable, Callable

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import VenuemeshError
from kit.execution.calls import ask
from kit.execution.contract import ExecutionClient
from kit.execution.settings import OrdersSettings

LOOKS_PER_SPAN = 5
COUNTDOWN_SPANS = 3
"""The venue waits longer than we do: it is for when we cannot act."""

_log = telemetry.logger("orders.dead_man")


class DeadManSwitch:
    """Of one account."""

    def __init__(
        self,
        desk: ExecutionClient,
        clock: Clock,
        settings: OrdersSettings,
        cancel_all: Callable[[], Awaitable[object]],
        is_quiet: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        """``cancel_all`` may raise and is then called again; ``is_quiet``: nothing is open;
        ``changed`` is told when it fires or is ended."""
        self._desk = desk
        self._clock = clock
        self._timeout_s = settings.ask_timeout_s
        self._span_s = settings.dead_man_s
        self._cancel_all = cancel_all
        self._is_quiet = is_quiet
        self._changed = changed
        self._last_ns = 0
        self._countdown_ns: int | None = None
        self.is_armed = False
        """Whether an authority was heard of."""
        self.has_fired = False
        self._is_done = False

    def beat(self) -> None:
        """The authority lives."""
        self._last_ns = self._clock.monotonic_ns()
        self.is_armed = True
        self._is_done = False
        if self.has_fired:
            self.has_fired = False
            self._changed()

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            await self._clock.sleep(self._span_s / LOOKS_PER_SPAN)
            if not self.is_armed:
                continue
            try:
                if self._silence_s() > self._span_s:
                    await self._fire()
                else:
                    await self._count_down()
            except VenuemeshError as error:
                _log.error("not cancelled yet", extra={"detail": error.message})
            except Exception:
                _log.exception("not cancelled yet")

    def _silence_s(self) -> float:
        return (self._clock.monotonic_ns() - self._last_ns) / NANOSECONDS_PER_SECOND

    async def _fire(self) -> None:
        if not self.has_fired:
            self.has_fired = True
            _log.error("the order authority is silent", extra={"seconds": self._silence_s()})
            self._changed()
        if self._is_done and self._is_quiet():
            return
        self._is_done = False
        await self._cancel_all()
        self._is_done = self._is_quiet()

    async def _count_down(self) -> None:
        now_ns = self._clock.monotonic_ns()
        span_ns = int(self._span_s * NANOSECONDS_PER_SECOND)
        is_due = self._countdown_ns is None or now_ns - self._countdown_ns >= span_ns
        if self._desk.capabilities.countdown and is_due:
            self._countdown_ns = now_ns
            call = self._desk.countdown(COUNTDOWN_SPANS * self._span_s)
            try:
                await ask(call, self._timeout_s)
            except VenuemeshError as error:
                # It is asked again after the same time: it waits for as long as several of these.
                _log.error("the venue does not count down", extra={"detail": error.message})
