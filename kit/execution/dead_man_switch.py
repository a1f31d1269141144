"""The dead man's switch: cancels all orders when the order authority stops sending heartbeats.

It is armed by the first heartbeat. Where the venue has a countdown of its own, that is renewed
while heartbeats arrive: the venue then cancels also when this process is dead. The countdown is
left on at an orderly stop; the next process renews it, or the venue cancels.
"""

from collections.abc import Callable

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.errors import VenuemeshError
from kit.execution.context import AccountContext
from kit.execution.submitter import OrderSubmitter
from kit.execution.venue_calls import answer_of

CHECKS_PER_SPAN = 5
COUNTDOWN_SPANS = 3
"""The venue waits longer than this process: its countdown is for when this process cannot act."""

_log = telemetry.logger("orders.dead_man")


class DeadManSwitch:
    """The switch of one account."""

    def __init__(
        self, submitter: OrderSubmitter, context: AccountContext, changed: Callable[[], None]
    ) -> None:
        """``changed`` is called when the switch fires, and when a heartbeat resets it."""
        self._submitter = submitter
        self._client = submitter.client
        self._clock = context.clock
        self._timeout_s = context.settings.ask_timeout_s
        self._span_s = context.settings.dead_man_s
        self._changed = changed
        self._last_ns = 0
        self._countdown_ns: int | None = None
        self.is_armed = False
        """Whether there was a heartbeat."""
        self.has_fired = False
        self._is_done = False

    def heartbeat(self) -> None:
        """Note a heartbeat: arm the switch, and reset it if it has fired."""
        self._last_ns = self._clock.monotonic_ns()
        self.is_armed = True
        self._is_done = False
        if self.has_fired:
            self.has_fired = False
            self._changed()

    async def run(self) -> None:
        """Watch the heartbeats, for ever."""
        while True:
            await self._clock.sleep(self._span_s / CHECKS_PER_SPAN)
            if not self.is_armed:
                continue
            try:
                if self._silence_s() > self._span_s:
                    await self._fire()
                else:
                    await self._renew_countdown()
            except VenuemeshError as error:
                _log.error("orders not cancelled yet", extra={"detail": error.message})
            except Exception:
                _log.exception("orders not cancelled yet")

    def _silence_s(self) -> float:
        return (self._clock.monotonic_ns() - self._last_ns) / NANOSECONDS_PER_SECOND

    def _is_quiet(self) -> bool:
        return not self._submitter.state.index.open

    async def _fire(self) -> None:
        if not self.has_fired:
            self.has_fired = True
            _log.error("the order authority is silent", extra={"seconds": self._silence_s()})
            self._changed()
        if self._is_done and self._is_quiet():
            return
        self._is_done = False
        await self._submitter.cancel_all()
        self._is_done = self._is_quiet()

    async def _renew_countdown(self) -> None:
        now_ns = self._clock.monotonic_ns()
        span_ns = int(self._span_s * NANOSECONDS_PER_SECOND)
        is_due = self._countdown_ns is None or now_ns - self._countdown_ns >= span_ns
        if self._client.capabilities.countdown and is_due:
            self._countdown_ns = now_ns
            call = self._client.countdown(COUNTDOWN_SPANS * self._span_s)
            try:
                await answer_of(call, self._timeout_s)
            except VenuemeshError as error:
                # It is renewed again after one span; the countdown lasts for several.
                _log.error("countdown not renewed", extra={"detail": error.message})
