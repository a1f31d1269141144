"""The newest log records of this process, in memory, for those who read its log over gRPC.

Logging never waits for a reader. A reader that is too slow, or a process that logs too much, loses
the oldest records, and the reader gets their number.
"""

import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from typing import NamedTuple

from venuemesh.admin.v1 import admin_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.telemetry import record_fields

RECORDS_MAX = 1_000
PART_RECORDS_MAX = 100
PART_INTERVAL_S = 0.1
"""Between two parts of a stream, which has at most 1,000 records per second therefore."""
QUIET_PARTS_MAX = 10
"""After so many parts without a wanted record, the reader gets the number that was reached."""
EVENT_CHARACTERS_MAX = 1_000
FIELDS_CHARACTERS_MAX = 4_000


class KeptRecord(NamedTuple):
    """One record. Its values are text already: what they came from may change later."""

    number: int
    time_ns: int
    level: int
    logger: str
    event: str
    fields: dict[str, str]


class RecentLogs(logging.Handler):
    """Keeps the newest records. They come from any thread, streams run in the event loop."""

    def __init__(self, start_time_ns: int, clock: Clock, records_max: int = RECORDS_MAX) -> None:
        super().__init__()
        self._start_time_ns = start_time_ns
        self._clock = clock
        self._records: deque[KeptRecord] = deque(maxlen=records_max)
        self._newest = 0
        self._last: int | None = None
        """The number of the last record that streams send before they end."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record. ``logging`` holds the lock of this handler meanwhile."""
        try:
            kept = _kept(self._newest + 1, record)
        except Exception:
            self.handleError(record)
            return
        self._newest = kept.number
        self._records.append(kept)

    def end(self) -> None:
        """Streams send what has been logged until now, and end. Nothing more is kept."""
        logging.getLogger().removeHandler(self)
        self._last = self._newest

    async def stream(
        self, request: admin_pb2.StreamLogsRequest
    ) -> AsyncGenerator[admin_pb2.StreamLogsResponse, None]:
        """The records that a request wants, as they come, and how many were dropped."""
        kept_until = self._newest
        number, sent, quiet_parts = self._begin(request), -1, 0
        while True:
            part = self._part(number, request)
            number, quiet_parts = part.newest_number, quiet_parts + 1
            is_due = sent < 0 or (quiet_parts >= QUIET_PARTS_MAX and number > sent)
            if part.records or part.dropped_records or is_due:
                yield part
                sent, quiet_parts = number, 0
            if self._last is not None and number >= self._last:
                return
            # Nobody wakes the streams: logging is not to wait for the lock of an event loop.
            if number >= kept_until:
                await self._clock.sleep(PART_INTERVAL_S)

    def _begin(self, request: admin_pb2.StreamLogsRequest) -> int:
        """The number after which a stream begins."""
        if request.start_time_ns not in (0, self._start_time_ns):
            return 0
        if request.after_number:
            return min(request.after_number, self._newest)
        records, newest = self._after(0)
        wanted = [record.number for record in records if _is_wanted(record, request)]
        first = wanted[-(request.kept_records_max or len(wanted)) :][:1]
        return first[0] - 1 if first else newest

    def _part(
        self, number: int, request: admin_pb2.StreamLogsRequest
    ) -> admin_pb2.StreamLogsResponse:
        records, newest = self._after(number)
        oldest = records[0].number if records else newest + 1
        wanted = islice((one for one in records if _is_wanted(one, request)), PART_RECORDS_MAX)
        found = list(map(_message, wanted))
        return admin_pb2.StreamLogsResponse(
            records=found,
            dropped_records=oldest - number - 1,
            newest_number=found[-1].number if len(found) == PART_RECORDS_MAX else newest,
            start_time_ns=self._start_time_ns,
        )

    def _after(self, number: int) -> tuple[list[KeptRecord], int]:
        """The records that follow a number and are kept, and the number of the newest."""
        self.acquire()
        try:
            skipped = max(0, number - self._newest + len(self._records))
            return list(islice(self._records, skipped, None)), self._newest
        finally:
            self.release()


def _kept(number: int, record: logging.LogRecord) -> KeptRecord:
    time_ns = int(record.created * NANOSECONDS_PER_SECOND)
    event = _text(record.getMessage(), EVENT_CHARACTERS_MAX)
    return KeptRecord(number, time_ns, record.levelno, record.name, event, dict(_fields(record)))


def _fields(record: logging.LogRecord) -> Iterator[tuple[str, str]]:
    left = FIELDS_CHARACTERS_MAX
    for name, value in record_fields(record).items():
        field = _text(name, left), _text(value, left - len(name))
        yield field
        left -= sum(map(len, field))
        if left <= 0:
            return


def _text(value: object, characters_max: int) -> str:
    """Text that a message can hold: UTF-8 has no single surrogates."""
    text = str(value)[: max(0, characters_max)]
    return text.encode(errors="replace").decode()


def _is_wanted(record: KeptRecord, request: admin_pb2.StreamLogsRequest) -> bool:
    if request.level and record.level < logging.getLevelNamesMapping()[request.level.upper()]:
        return False
    return not request.logger or f"{record.logger}.".startswith(f"{request.logger}.")


def _message(record: KeptRecord) -> admin_pb2.LogRecord:
    return admin_pb2.LogRecord(
        number=record.number,
        time_ns=record.time_ns,
        level=logging.getLevelName(record.level).lower(),
        logger=record.logger,
        event=record.event,
        fields=record.fields,
    )
