"""A subscription of a connection: its place in a topic."""

from typing import Protocol

from gateway.push.encoding import Encoding
from gateway.push.lossless_topic import LosslessTopic
from gateway.push.messages import ErrorFields
from gateway.push.topic import Topic
from gateway.push.updates import Position


class Sink(Protocol):
    """The socket of a client."""

    encoding: Encoding
    is_writable: bool

    def write(self, frame: bytes) -> None:
        """Write a message of a topic. Only while the socket takes bytes."""

    def ended(self, reader: "TopicReader", position: Position | None, error: ErrorFields) -> None:
        """A subscription has ended by itself."""


class TopicReader:
    """Writes the messages of a topic to a socket while that takes bytes."""

    __slots__ = (
        "_first",
        "_sink",
        "encoding",
        "has_begun",
        "is_active",
        "key",
        "sequence",
        "topic",
    )

    def __init__(
        self,
        sink: Sink,
        topic: Topic,
        position: Position | None = None,
        first: bytes | None = None,
    ) -> None:
        """``position``: after which it continues; None: it begins with a snapshot of the topic.
        ``first``: a snapshot that was made at that position."""
        self.encoding = sink.encoding
        self.key = topic.key
        self.topic = topic
        self.sequence = topic.newest
        self.is_active = False
        """Whether it may write."""
        self.has_begun = position is not None and first is None
        """Whether its snapshot is written, or it needs none."""
        self._sink = sink
        self._first = first
        if isinstance(topic, LosslessTopic) and position is not None:
            self.sequence = topic.sequence_at(position)
        topic.readers.add(self)

    def begin(self) -> None:
        self.is_active = True
        self.wake()

    def wake(self) -> None:
        sink = self._sink
        if not (self.is_active and sink.is_writable and (self.has_begun or self._write_first())):
            return
        for entry in self.topic.after(self.sequence):
            if not sink.is_writable:
                return
            sink.write(entry.frame(self.encoding))
            self.sequence = entry.sequence
        self.topic.moved(self)

    def go_on(self, topic: Topic, sequence: int) -> None:
        """Read another topic of the same key from now on, after this entry."""
        self.topic.readers.remove(self)
        self.topic, self.sequence = topic, sequence
        topic.readers.add(self)
        self.wake()

    def leave(self) -> None:
        self.is_active = False
        self.topic.readers.remove(self)

    def end(self, position: Position | None, error: ErrorFields) -> None:
        self.leave()
        self._sink.ended(self, position, error)

    def _write_first(self) -> bool:
        """Write the snapshot, if there is one yet."""
        if self._first is not None:
            self._sink.write(self._first)
            self._first = None
        elif self.topic.is_ready:
            entry = self.topic.snapshot()
            self._sink.write(entry.frame(self.encoding))
            self.sequence = entry.sequence
        else:
            return False
        self.has_begun = True
        return True
