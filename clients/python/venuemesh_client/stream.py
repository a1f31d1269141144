"""Streams that go on after a loss."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from enum import Enum
from typing import Any, TypeVar

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2
from venuemesh_client.client import Client, error_info, reason_of

DELAY_FIRST_S = 0.5
DELAY_MAX_S = 10.0
CURSOR_EXPIRED = "CURSOR_EXPIRED"
REJECTIONS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
# A venue that is not registered may be starting; an unlisted instrument stays unlisted.
FINAL_REASONS = frozenset({"UNKNOWN_INSTRUMENT", "UNKNOWN_VENUE", "UNKNOWN_ACCOUNT"})
Batch = batch_pb2.MarketDataBatch
Message = TypeVar("Message")
Answer = TypeVar("Answer")


class WhenExpired(Enum):
    """What a subscription does where the mesh no longer holds the batches after its cursor."""

    CONTINUE = "continue"
    """Yields a batch without rows, whose gap has the reason CURSOR_EXPIRED, and continues with the
    earliest batches that are held."""
    RAISE = "raise"
    """Raises the error, so that the caller can begin again, for example with a snapshot."""


async def subscribe(
    client: Client,
    request: market_data_pb2.SubscribeRequest,
    when_expired: WhenExpired = WhenExpired.CONTINUE,
) -> AsyncGenerator[Batch, None]:
    """Yield the batches of a venue. A stream that is lost is opened again, with growing delays,
    after the last batch of each channel, so that nothing is missing and nothing is repeated. Raises
    AioRpcError if the request is rejected."""
    position = _Position(request)
    answers = follow(lambda: client.market_data.Subscribe(position.request))
    async with aclosing(answers):
        async for answer in answers:
            if not isinstance(answer, grpc.aio.AioRpcError):
                for batch in answer.batches:
                    position.take(batch)
                    yield batch
            elif reason_of(answer) == CURSOR_EXPIRED:
                if when_expired is WhenExpired.RAISE:
                    raise answer
                for batch in position.expire(answer):
                    yield batch


async def follow(
    open_stream: Callable[[], grpc.aio.UnaryStreamCall[Any, Message]],
) -> AsyncGenerator[Message | grpc.aio.AioRpcError, None]:
    """Yield the messages of a stream that is opened again whenever it ends, and the errors between.
    Raises AioRpcError for what would fail again."""
    failures = 0
    while True:
        call = open_stream()
        try:
            async for message in call:
                # Only a message resets the delay: a server may close each stream at once.
                failures = 0
                yield message
        except grpc.aio.AioRpcError as error:
            if is_rejected(error):
                raise
            yield error
        finally:
            call.cancel()
        await pause(failures)
        failures += 1


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of a call that is repeated, with growing delays, while the mesh cannot be reached.
    Raises AioRpcError for what would fail again."""
    failures = 0
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if is_rejected(error):
                raise
        await pause(failures)
        failures += 1


def is_rejected(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call would fail again."""
    return error.code() in REJECTIONS or reason_of(error) in FINAL_REASONS


async def pause(failures: int) -> None:
    """Wait half a second, doubled with each failure up to ten, less a random part of a half."""
    full = min(DELAY_MAX_S, DELAY_FIRST_S * 2 ** min(failures, 10))
    await asyncio.sleep(full * (1 - random.random() / 2))


class _Position:
    """What a subscription requests next: it goes on after the last batch of each channel."""

    def __init__(self, request: market_data_pb2.SubscribeRequest) -> None:
        self._first = request
        self._start_at = request.start_at
        self._cursors = {each.channel: each.cursor for each in request.resume_after}

    @property
    def request(self) -> market_data_pb2.SubscribeRequest:
        request = market_data_pb2.SubscribeRequest(start_at=self._start_at)
        request.MergeFrom(self._first)
        request.start_at = self._start_at
        del request.resume_after[:]
        for channel, cursor in self._cursors.items():
            request.resume_after.add(channel=channel, cursor=cursor)
        return request

    def take(self, batch: Batch) -> None:
        if batch.HasField("cursor"):
            self._cursors[batch.channel] = batch.cursor

    def expire(self, error: grpc.aio.AioRpcError) -> Iterator[Batch]:
        """The gap of the channel whose cursor is not held; it begins with the earliest batches."""
        self._start_at = market_data_pb2.START_AT_EARLIEST
        info = error_info(error)
        expired = info.metadata["channel"] if info else ""
        for channel in list(self._cursors):
            if expired in ("", types_pb2.Channel.Name(channel).removeprefix("CHANNEL_").lower()):
                del self._cursors[channel]
                gap = types_pb2.Gap(
                    reason=types_pb2.GAP_REASON_CURSOR_EXPIRED,
                    detected_time_ns=time.time_ns(),
                    detail=error.details() or "",
                )
                yield Batch(venue=self._first.venue, channel=channel, gaps=[gap])
