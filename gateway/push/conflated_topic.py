"""A topic with the newest state."""

from collections.abc import Iterator, Sequence

from gateway.push import messages
from gateway.push.channels import TopicKey
from gateway.push.messages import ErrorFields
from gateway.push.topic import Entry, Reader, Readers
from gateway.push.updates import Position, Update


class ConflatedTopic:
    """The newest message of each key."""

    def __init__(self, key: TopicKey) -> None:
        self.key = key
        self.newest = 0
        self.is_ready = False
        """Whether the stream has begun, with rows or without any."""
        self.readers = Readers()
        self.newest_position: Position | None = None
        """Always None: nothing is resumed."""
        self._entries: dict[str, Entry] = {}
        self._updates: dict[str, Update] = {}
        self._snapshot: Entry | None = None

    def publish(self, updates: Sequence[Update]) -> None:
        """Replace the messages of these keys, and wake the readers."""
        self.is_ready = True
        for update in updates:
            if not (update.rows or update.gaps):
                continue
            self.newest += 1
            self._entries.pop(update.key, None)
            self._updates[update.key] = update
            message = messages.data(self.key.name, update)
            self._entries[update.key] = Entry(self.newest, None, message)
        self.readers.wake()

    def snapshot(self) -> Entry:
        if self._snapshot is None or self._snapshot.sequence != self.newest:
            updates = self._updates.values()
            rows = [row for update in updates for row in update.rows]
            gaps = [gap for update in updates for gap in update.gaps]
            message = messages.snapshot(self.key.name, rows, None, gaps)
            self._snapshot = Entry(self.newest, None, message)
        return self._snapshot

    def after(self, sequence: int) -> Iterator[Entry]:
        """The newest message of each key that has one, oldest first."""
        found = []
        for entry in reversed(self._entries.values()):
            if entry.sequence <= sequence:
                break
            found.append(entry)
        return reversed(found)

    def moved(self, reader: Reader) -> None:
        """Nothing to do."""

    async def has_room(self) -> None:
        """Return at once: what is replaced takes no room."""

    def end(self, error: ErrorFields) -> None:
        for reader in self.readers:
            reader.end(None, error)
