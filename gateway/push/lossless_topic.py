"""A topic with every message."""

import asyncio
from collections.abc import Iterable, Iterator

from gateway.push import messages
from gateway.push.channels import TopicKey
from gateway.push.messages import ErrorFields
from gateway.push.topic import Entry, Reader, Readers
from gateway.push.updates import Position, Row, Update, position_text
from kit.base.errors import SubscriberTooSlow


class LosslessTopic:
    """Every message, in order."""

    def __init__(
        self,
        key: TopicKey,
        history_bytes_max: int,
        after: Position | None = None,
        successor: "LosslessTopic | None" = None,
    ) -> None:
        """``after``: where its stream begins, if that is known. ``successor``: of a topic that
        reads what others have read before, where its readers go when they are as far."""
        self.key = key
        self.newest = 0
        self.readers = Readers()
        self.newest_position = after
        self._successor = successor
        self._oldest = 1
        self._begins_after = after
        """Everything after this position is held. None: unknown."""
        self._entries: dict[int, Entry] = {}
        self._bytes = 0
        self._bytes_max = history_bytes_max
        self._newest_rows: dict[str, Row] = {}
        self._snapshot: Entry | None = None
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def is_ready(self) -> bool:
        return True

    @property
    def history_bytes(self) -> int:
        """Bytes of the messages that are kept."""
        return self._bytes

    def holds(self, position: Position) -> bool:
        """Whether a reader can go on here after a position."""
        begin, end = self._begins_after, self.newest_position
        if begin is None and self._entries:
            begin = self._entries[self._oldest].position
        return begin is not None and end is not None and begin <= position <= end

    def sequence_at(self, position: Position) -> int:
        """The last entry that is not after a position."""
        for sequence in reversed(self._entries):
            at = self._entries[sequence].position
            if at is not None and at <= position:
                return sequence
        return self._oldest - 1

    def publish(self, updates: Iterable[Update]) -> None:
        """Keep these updates, and wake the readers."""
        for update in updates:
            if update.position is not None:
                self.newest_position = update.position
            if update.rows or update.gaps:
                self._keep(update)
            elif not self.newest and self._begins_after is None:
                self._begins_after = update.position
        self._drop_oldest()
        self.readers.wake()

    def snapshot(self) -> Entry:
        sequence, position = self.newest, self.newest_position
        if self.key.spec.keeps_history:
            # What is kept follows as it was sent to others.
            sequence, position = self._oldest - 1, self._begins_after
        made = self._snapshot
        if made is None or (made.sequence, made.position) != (sequence, position):
            rows = list(self._newest_rows.values())
            message = messages.snapshot(self.key.name, rows, position)
            made = self._snapshot = Entry(sequence, position, message)
        return made

    def after(self, sequence: int) -> Iterator[Entry]:
        entries = self._entries
        while sequence < self.newest:
            sequence += 1
            yield entries[sequence]

    def moved(self, reader: Reader) -> None:
        successor, at = self._successor, self.newest_position
        if successor is None:
            return
        self._measure_room()
        if at is not None and successor.holds(at) and reader.sequence >= self.newest:
            reader.go_on(successor, successor.sequence_at(at))

    async def has_room(self) -> None:
        """Return when the readers of this topic have read half of what it may keep: it must not
        read faster than they do. Others have readers that are not to wait for each other."""
        if self._successor is not None:
            self._measure_room()
            await self._has_room.wait()

    def end(self, error: ErrorFields) -> None:
        for reader in self.readers:
            reader.end(self.position_at(reader.sequence), error)

    def position_at(self, sequence: int) -> Position | None:
        """After which a reader that has written this entry can resume."""
        entry = self._entries.get(sequence)
        return self._begins_after if entry is None else entry.position

    def _keep(self, update: Update) -> None:
        self.newest += 1
        position = update.position or self.newest_position
        message = messages.data(self.key.name, update._replace(position=position))
        entry = Entry(self.newest, position, message, self.readers.encodings())
        self._entries[self.newest] = entry
        self._bytes += entry.size
        if self.key.spec.keeps_newest:
            for row in update.rows:
                self._newest_rows[row["symbol"]] = row

    def _drop_oldest(self) -> None:
        while self._bytes > self._bytes_max and self._oldest < self.newest:
            self._end_slow()
            dropped = self._entries.pop(self._oldest)
            self._bytes = max(0, self._bytes - dropped.size)
            self._begins_after = dropped.position
            self._oldest += 1

    def _end_slow(self) -> None:
        """End the readers that have not written the oldest entry."""
        for reader in self.readers:
            if reader.sequence < self._oldest:
                position = self.position_at(reader.sequence)
                text = "the subscription is too far behind: resume after its cursor"
                error = SubscriberTooSlow(
                    text, channel=self.key.channel, cursor=position_text(position) or ""
                )
                reader.end(position, messages.error_fields(error))

    def _measure_room(self) -> None:
        slowest = min((reader.sequence for reader in self.readers), default=self.newest)
        behind = sum(entry.size for entry in self.after(slowest))
        if behind * 2 > self._bytes_max:
            self._has_room.clear()
        else:
            self._has_room.set()
