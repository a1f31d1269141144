"""Keeps one account in step with its venue, and its readiness up to date.

It checks the configuration of the account, compares journal and venue, and applies the venue's
stream. The account is READY while they agree. When the stream is interrupted they are compared
again before orders are taken.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from typing import Protocol

from venuemesh.tradeflow.v1 import differences_pb2

from kit.base import telemetry
from kit.base.backoff import delays
from kit.base.errors import CredentialsRejected, VenuemeshError
from kit.execution.context import AccountContext
from kit.execution.contract import AccountEvent, ExecutionClient, StreamInterrupted
from kit.execution.readiness import DISCONNECTED, READY, RECONCILING, REFUSED, Readiness, State
from kit.execution.reconciliation.configuration_check import ConfigurationCheck
from kit.execution.reconciliation.reconciler import Reconciler
from kit.execution.tasks import wait_for_event

FIRST_RETRY_S = 0.5
SECOND_COMPARISON_S = 5.0
"""After the first comparison: a stream that is still connecting cannot say what it missed."""
STREAM_BEGINS_S = 10.0
"""An account whose stream has not begun by then still accepts orders, and is compared again
once it has."""
FAILURES_MAX = 3

_log = telemetry.logger("orders.venue_session")


class VenueSessionListener(Protocol):
    """What an account does with the events of its venue session."""

    def apply(self, event: AccountEvent) -> None:
        """Apply an event of the venue's stream, other than StreamInterrupted."""

    async def reconciled(self) -> None:
        """Journal and venue agree."""

    def publish_account(self) -> None:
        """Publish the account: its readiness has changed."""


class VenueSession:
    """The session of one account at its venue. Only it changes the readiness."""

    def __init__(
        self,
        context: AccountContext,
        client: ExecutionClient,
        configuration: ConfigurationCheck,
        reconciler: Reconciler,
        listener: VenueSessionListener,
    ) -> None:
        self.readiness = Readiness()
        self._context, self._client = context, client
        self._configuration = configuration
        self._reconciler, self._listener = reconciler, listener
        self._rejected_credentials = ""
        """Why the venue's stream rejected the credentials."""
        self._compare = asyncio.Event()
        self._stream_begun = asyncio.Event()
        self._progress_count = 0

    async def run(self, *, is_new: bool) -> None:
        """Reconcile and follow the stream, until cancelled. ``is_new``: the journal was empty, so
        what the venue has is no difference."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reconcile(is_first=is_new))
            group.create_task(self._follow())

    def compare(self) -> None:
        """Compare journal and venue soon."""
        self._compare.set()

    def set_readiness(self, state: State, detail: str, *, is_reconciled: bool = False) -> None:
        """Set and publish whether the account takes orders, and why not."""
        self.readiness.is_reconciled = is_reconciled
        if (self.readiness.state, self.readiness.detail) != (state, detail):
            self.readiness.state, self.readiness.detail = state, detail
            self._listener.publish_account()

    def reconciling(self, detail: str) -> None:
        """Show how far the comparison of journal and venue is."""
        self._progress_count += 1
        is_refused = bool(self._rejected_credentials or self._configuration.refusal)
        if not self.readiness.is_ready and not is_refused:
            self.set_readiness(RECONCILING, detail)

    async def _reconcile(self, *, is_first: bool) -> None:
        """Compare journal and venue when something may have been missed, and at intervals."""
        settings, clock = self._context.settings, self._context.clock
        pauses = delays(FIRST_RETRY_S, settings.pause_max_s, self._context.jitter)
        failures = progress_count = 0
        pause_s = min(SECOND_COMPARISON_S, settings.reconcile_interval_s)
        refused_pauses = self._refused_pauses()
        while True:
            self._compare.clear()
            try:
                await self._check_configuration()
                self._log_differences(await self._reconciler.run(is_first=is_first))
            except CredentialsRejected as error:
                self.set_readiness(REFUSED, error.message)
                await clock.sleep(settings.pause_max_s)
            except Exception as error:
                if not isinstance(error, VenuemeshError):
                    _log.exception("reconciling failed")
                failures += 1
                if progress_count != self._progress_count:
                    progress_count, failures = self._progress_count, 1
                    pauses = delays(FIRST_RETRY_S, settings.pause_max_s, self._context.jitter)
                # While the stream is not interrupted, a query without an answer is repeated.
                if not self.readiness.is_reconciled or failures > FAILURES_MAX:
                    refusal = self._configuration.refusal
                    state = REFUSED if refusal else DISCONNECTED
                    self.set_readiness(state, refusal or str(error) or type(error).__name__)
                await clock.sleep(next(pauses))
            else:
                is_first = False
                failures = 0
                pauses = delays(FIRST_RETRY_S, settings.pause_max_s, self._context.jitter)
                await self._await_stream()
                if not self._compare.is_set() and not self._rejected_credentials:
                    refusal = self._configuration.refusal
                    state = REFUSED if refusal else READY
                    self.set_readiness(state, refusal, is_reconciled=True)
                await self._listener.reconciled()
                if not self._configuration.refusal:
                    refused_pauses = self._refused_pauses()
                else:
                    pause_s = min(pause_s, next(refused_pauses))
                await wait_for_event(self._compare, clock, pause_s)
                pause_s = settings.reconcile_interval_s

    async def _await_stream(self) -> None:
        """Give the stream time to begin. What it may have missed is compared once it has begun: the
        account would take orders, refuse them, and take them again."""
        if self._stream_begun.is_set() or self._rejected_credentials or self._configuration.refusal:
            return
        self.set_readiness(RECONCILING, "the venue's stream begins", is_reconciled=True)
        await self._listener.reconciled()
        await wait_for_event(self._stream_begun, self._context.clock, STREAM_BEGINS_S)
        self._stream_begun.set()

    def _refused_pauses(self) -> Iterator[float]:
        """How often a refused account is compared: often at first, as a person may put it right."""
        most_s = self._context.settings.reconcile_interval_s
        return delays(min(SECOND_COMPARISON_S, most_s), most_s, self._context.jitter)

    async def _check_configuration(self) -> None:
        """Refuse entries while the account is not configured at the venue as it must be; what it
        has there is still compared."""
        configuration, alarm = self._configuration, self._configuration.alarm
        await configuration.run()
        if configuration.refusal:
            is_reconciled = self.readiness.is_reconciled
            self.set_readiness(REFUSED, configuration.refusal, is_reconciled=is_reconciled)
        elif configuration.alarm != alarm:
            self._listener.publish_account()

    async def _follow(self) -> None:
        """Apply the events of the venue's stream."""
        settings, clock = self._context.settings, self._context.clock
        pauses = delays(FIRST_RETRY_S, settings.pause_max_s, self._context.jitter)
        while True:
            try:
                async for event in self._client.follow():
                    if isinstance(event, StreamInterrupted):
                        self._compare_before_orders(event.detail)
                    else:
                        self._listener.apply(event)
                    pauses = delays(FIRST_RETRY_S, settings.pause_max_s, self._context.jitter)
            except CredentialsRejected as error:
                self._rejected_credentials = error.message
                self.set_readiness(REFUSED, error.message)
                await clock.sleep(settings.pause_max_s)
                self._rejected_credentials = ""
                self._compare.set()
            except VenuemeshError as error:
                self._compare_before_orders(error.message)
            except Exception as error:
                _log.exception("stream failed")
                self._compare_before_orders(f"{type(error).__name__}: {error}")
            await clock.sleep(next(pauses))

    def _compare_before_orders(self, detail: str) -> None:
        """Compare journal and venue, and take no new orders until they agree: events may have been
        missed."""
        if self.readiness.is_ready:
            self.set_readiness(RECONCILING, detail)
        self.readiness.is_reconciled = False
        self._stream_begun.set()
        self._compare.set()

    def _log_differences(self, found: list[differences_pb2.Difference]) -> None:
        kinds = Counter(differences_pb2.DifferenceKind.Name(one.kind) for one in found)
        if kinds:
            extra = {"account": self._context.account, **kinds}
            _log.warning("journal and venue differed", extra=extra)
