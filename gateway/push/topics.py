"""The topics that are read now, and the streams that feed them."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

import grpc
from venuemesh.common.v1 import types_pb2

from gateway.push.channels import TopicKey
from gateway.push.conflated_topic import ConflatedTopic
from gateway.push.feeds.market_rows import message_row
from gateway.push.lossless_topic import LosslessTopic
from gateway.push.messages import ErrorFields, error_fields
from gateway.push.settings import PushSettings
from gateway.push.topic import Readers, Topic
from gateway.push.updates import Feed, Position, Update
from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.errors import (
    InternalError,
    SubscriberTooSlow,
    TooManySubscribers,
    UnknownService,
    VenuemeshError,
    reason_of,
)

RETRY_SECONDS_MAX = 2.0
RESUMED_LINGER_S = 1.0
"""How long a topic without readers goes on whose readers have gone on to another one."""
FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""What another attempt would not change."""

_log = telemetry.logger("push")


@dataclass(frozen=True, slots=True)
class RunningTopic:
    """A topic and what feeds it."""

    topic: Topic
    feed: Feed
    task: "asyncio.Task[None]"


class Topics:
    """All topics of the process."""

    def __init__(
        self, feed_of: Callable[[TopicKey], Feed], settings: PushSettings, clock: Clock
    ) -> None:
        self._feed_of = feed_of
        self._settings = settings
        self._clock = clock
        self._shared: dict[TopicKey, RunningTopic] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Of all topics, also of those that read what others have read before."""

    def __len__(self) -> int:
        return len(self._tasks)

    def shared(self, key: TopicKey) -> RunningTopic:
        """The topic of a key; it begins if nobody reads it. Raises TooManySubscribers."""
        found = self._shared.get(key)
        if found is None:
            topic: Topic = (
                LosslessTopic(key, self._settings.history_bytes_max)
                if key.is_lossless
                else ConflatedTopic(key)
            )
            found = self._shared[key] = self._start(topic, self._settings.linger_s)
        return found

    def resumed(self, key: TopicKey, after: Position) -> Topic:
        """A topic in which everything after a position follows. Raises TooManySubscribers."""
        shared = self.shared(key).topic
        if not isinstance(shared, LosslessTopic) or shared.holds(after):
            return shared
        topic = LosslessTopic(key, self._settings.history_bytes_max, after, successor=shared)
        self._start(topic, RESUMED_LINGER_S)
        return topic

    async def close(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, topic: Topic, linger_s: float) -> RunningTopic:
        if len(self._tasks) >= self._settings.topics_max and not self._end_unread():
            most = self._settings.topics_max
            raise TooManySubscribers(f"{most} topics are being read", limit=most)
        feed = self._feed_of(topic.key)
        task = asyncio.create_task(self._run(topic, feed, linger_s), name=topic.key.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return RunningTopic(topic, feed, task)

    def _end_unread(self) -> bool:
        """End the oldest topic that nobody reads."""
        for key, running in self._shared.items():
            if not len(running.topic.readers):
                running.task.cancel()
                self._tasks.discard(running.task)
                del self._shared[key]
                return True
        return False

    async def _run(self, topic: Topic, feed: Feed, linger_s: float) -> None:
        """Feed a topic until nobody has read it for a while, or its stream ends for good."""
        follow = asyncio.create_task(self._follow(topic, feed))
        unread = asyncio.create_task(self._unread(topic.readers, linger_s))
        try:
            await asyncio.wait({follow, unread}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (follow, unread):
                task.cancel()
            await asyncio.gather(follow, unread, return_exceptions=True)
            self._forget(topic)

    def _end(self, topic: Topic, error: ErrorFields) -> None:
        # Whoever subscribes from now on begins the stream again.
        self._forget(topic)
        topic.end(error)

    def _forget(self, topic: Topic) -> None:
        running = self._shared.get(topic.key)
        if running is not None and running.topic is topic:
            del self._shared[topic.key]

    async def _unread(self, readers: Readers, linger_s: float) -> None:
        while True:
            await self._clock.sleep(linger_s)
            if not len(readers):
                return
            await readers.is_empty.wait()

    async def _follow(self, topic: Topic, feed: Feed) -> None:
        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
        while True:
            try:
                async with aclosing(feed.updates(topic.newest_position)) as stream:
                    async for updates in stream:
                        waits = backoff.delays(most_seconds=RETRY_SECONDS_MAX)
                        topic.publish(updates)
                        await topic.has_room()
            except grpc.aio.AioRpcError as error:
                if error.code() in FINAL and reason_of(error) != SubscriberTooSlow.reason:
                    return self._end(topic, error_fields(error))
                _log.debug("stream ended", extra={"topic": topic.key.name, "why": error.details()})
            except UnknownService as error:
                _log.debug("no process", extra={"topic": topic.key.name, "why": error.message})
            except VenuemeshError as error:
                return self._end(topic, error_fields(error))
            except Exception:
                _log.exception("topic failed", extra={"topic": topic.key.name})
                return self._end(topic, error_fields(InternalError("the stream cannot be read")))
            await self._clock.sleep(next(waits))
            if topic.key.is_lossless and topic.newest_position is None:
                topic.publish([Update(gaps=[_unknown_gap()])])


def _unknown_gap() -> dict[str, object]:
    """In place of what a stream has lost that has not said where it is."""
    detail = "the stream was interrupted before its first message"
    return message_row(types_pb2.Gap(reason=types_pb2.GAP_REASON_RECONNECT, detail=detail))
