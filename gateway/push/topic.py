"""A topic: the messages of one stream, and those who read them.

A topic never waits for a reader. Each reader has a place in the messages that the topic keeps, and
writes what follows it while its socket takes bytes. ::

    LosslessTopic     keeps every message, up to a number of bytes; a reader that falls behind ends
                      with the cursor of what it got last
    ConflatedTopic    keeps the newest message of each key; a reader that falls behind skips what
                      was replaced
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from gateway.push.channels import TopicKey
from gateway.push.encoding import Encoding
from gateway.push.messages import ErrorFields, Message
from gateway.push.updates import Position, Update


class Entry:
    """One message of a topic. It is encoded once for each encoding that is read."""

    __slots__ = ("_frames", "position", "sequence")

    def __init__(
        self,
        sequence: int,
        position: Position | None,
        message: Message,
        encodings: Iterable[Encoding] = (),
    ) -> None:
        """``encodings``: those that are read. Others are made of one of them, so that only bytes
        are kept."""
        self.sequence = sequence
        self.position = position
        wanted = set(encodings) or {Encoding.JSON}
        self._frames = {encoding: encoding.frame(message) for encoding in wanted}

    @property
    def size(self) -> int:
        return sum(map(len, self._frames.values()))

    def frame(self, encoding: Encoding) -> bytes:
        """The message as one frame of a websocket."""
        found = self._frames.get(encoding)
        if found is None:
            other, made = next(iter(self._frames.items()))
            found = self._frames[encoding] = encoding.frame(other.read(made))
        return found


class Reader(Protocol):
    """A subscription of a connection."""

    encoding: Encoding
    sequence: int
    """The last entry that it has written."""

    def wake(self) -> None:
        """There is something new."""

    def go_on(self, topic: "Topic", sequence: int) -> None:
        """Read another topic of the same key from now on, after this entry."""

    def end(self, position: Position | None, error: ErrorFields) -> None:
        """Nothing follows. ``position``: after which the subscription can be resumed."""


class Topic(Protocol):
    """What a subscription reads."""

    key: TopicKey
    readers: "Readers"
    newest: int
    """The sequence of the newest entry."""
    newest_position: Position | None
    """How far the stream has been read; None where that is unknown."""

    @property
    def is_ready(self) -> bool:
        """Whether a snapshot can be made."""

    def snapshot(self) -> Entry:
        """What is known; the entries after that of its sequence follow it."""

    def after(self, sequence: int) -> Iterator[Entry]:
        """The entries that follow."""

    def publish(self, updates: Sequence[Update]) -> None:
        """Keep these updates, and wake the readers."""

    def moved(self, reader: Reader) -> None:
        """A reader has written all that there is."""

    async def has_room(self) -> None:
        """Return when more may be published."""

    def end(self, error: ErrorFields) -> None:
        """End all subscriptions."""


class Readers:
    """The readers of one topic."""

    def __init__(self) -> None:
        self._readers: dict[Reader, None] = {}
        self.is_empty = asyncio.Event()
        """Set while nobody reads."""
        self.is_empty.set()

    def __len__(self) -> int:
        return len(self._readers)

    def __iter__(self) -> Iterator[Reader]:
        return iter(tuple(self._readers))

    def add(self, reader: Reader) -> None:
        self._readers[reader] = None
        self.is_empty.clear()

    def remove(self, reader: Reader) -> None:
        self._readers.pop(reader, None)
        if not self._readers:
            self.is_empty.set()

    def wake(self) -> None:
        for reader in tuple(self._readers):
            reader.wake()

    def encodings(self) -> set[Encoding]:
        return {reader.encoding for reader in self._readers}
