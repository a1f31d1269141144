"""Sends the notices of the streams to one channel, each at least once and in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from venuemesh.events.v1 import event_pb2

from core.notifier.channels import NoticeChannel, NotSent
from core.notifier.metrics import NotifierMetrics
from core.notifier.notices import Notice, NoticeLevel, notice_of
from kit.base import backoff
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.database import POSTGRESQL, Connection, Database
from kit.base.degradation import DegradedReasons
from kit.base.errors import StoreUnavailable
from kit.events import event_log
from kit.events.consumer import Consumption, EventConsumer
from kit.events.event_reader import EventReader
from kit.events.logged_events import LoggedEvent

STREAMS = (
    event_pb2.EVENT_STREAM_RISK,
    event_pb2.EVENT_STREAM_EXECUTIONS,
    event_pb2.EVENT_STREAM_LEDGER,
    event_pb2.EVENT_STREAM_SYSTEM,
)
GATHER_SECONDS = 0.2
RETRY_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class DeliveryTerms:
    """What is sent, and how often."""

    level_min: NoticeLevel
    interval_s: float
    """Between two messages."""
    age_max_s: float
    """Older notices are counted, not sent."""


class Delivery:
    """Sends what is new to a channel. What comes while the channel is away is one message later.

    A message is sent before its position is stored: after a crash in between it is sent again.
    """

    def __init__(
        self,
        channel: NoticeChannel,
        terms: DeliveryTerms,
        metrics: NotifierMetrics,
        degraded_reasons: DegradedReasons,
        clock: Clock,
    ) -> None:
        self._channel = channel
        self._terms = terms
        self._metrics = metrics
        self._degraded_reasons = degraded_reasons
        self._clock = clock
        self._sent_ns: int | None = None

    async def run(self, database: Database, reader: EventReader) -> None:
        """Deliver for ever, at first from what is newest now on."""
        name = f"notifier/{self._channel.name}"
        # An event of an unknown kind has no notice.
        consumption = Consumption(
            name,
            STREAMS,
            _stored,
            _nothing,
            reads_unknown=True,
            prepare=self.send,
            gather_seconds=GATHER_SECONDS,
        )
        await self._begin(name, database)
        reasons, clock = self._degraded_reasons, self._clock
        await EventConsumer(consumption, database, reader, reasons, clock).run()

    async def _begin(self, consumer: str, database: Database) -> None:
        waits = backoff.delays()
        while True:
            try:
                async with database.transaction() as connection:
                    if not await event_log.load_positions(connection, consumer):
                        states = await event_log.stream_states(connection, STREAMS)
                        newest = {stream: state.sequence for stream, state in states.items()}
                        await event_log.save_positions(connection, consumer, newest, {})
                return
            except StoreUnavailable as error:
                self._degraded_reasons.report(POSTGRESQL, error.message)
                await self._clock.sleep(next(waits))

    async def send(self, events: Sequence[LoggedEvent]) -> None:
        """Send the notices among some events as one message, however long it takes."""
        to_send: list[Notice] = []
        passed_over = 0
        oldest_ns = self._clock.time_ns() - int(self._terms.age_max_s * NANOSECONDS_PER_SECOND)
        for logged in events:
            notice = notice_of(logged.event())
            if notice is None or (notice.level < self._terms.level_min and not notice.is_kept):
                continue
            if logged.stored_time_ns < oldest_ns and not notice.is_kept:
                passed_over += 1
            else:
                to_send.append(notice)
        if to_send or passed_over:
            await self._until_sent(to_send, passed_over)

    async def _until_sent(self, notices: Sequence[Notice], passed_over: int) -> None:
        name = self._channel.name
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            await self._wait_for_turn()
            try:
                await self._channel.send(notices, passed_over)
            except NotSent as error:
                self._metrics.failed(name)
                self._degraded_reasons.report(f"channel {name}", str(error))
                await self._clock.sleep(max(error.retry_after_s, next(waits)))
            else:
                self._metrics.sent(name, len(notices), passed_over)
                self._degraded_reasons.clear(f"channel {name}")
                return

    async def _wait_for_turn(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._sent_ns is not None:
            passed_s = (now_ns - self._sent_ns) / NANOSECONDS_PER_SECOND
            await self._clock.sleep(max(self._terms.interval_s - passed_s, 0))
        self._sent_ns = self._clock.monotonic_ns()


async def _stored(connection: Connection, events: Sequence[LoggedEvent]) -> None:
    """Nothing but the position is stored."""


def _nothing() -> None:
    """Nobody waits for the commit."""
