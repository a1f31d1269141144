"""Answers Live."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import ExitStack, aclosing
from typing import Any

import grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.live.v1 import live_pb2, live_pb2_grpc

from core.bridge import subscription_request
from core.bridge.backlog_reader import BacklogReader
from core.bridge.live_book_manager import LiveBookManager
from core.bridge.settings import BridgeSettings
from core.bridge.stream_tailer import StreamTailer
from core.bridge.subscription_request import ChannelSelection, ConflationOptions
from core.bridge.venue_clients import VenueClients
from kit.base.errors import StoreUnavailable, UnknownService
from kit.marketdata.delivery.conflation import ConflatedBuffer, Conflator
from kit.marketdata.delivery.subscription import LosslessBuffer, Subscribers, Subscription

Context = grpc.aio.ServicerContext[Any, Any]


class LiveServicer(live_pb2_grpc.LiveServicer):
    """Subscribe yields serialised responses."""

    def __init__(
        self,
        tailer: StreamTailer,
        catch_up: Callable[[Sequence[ChannelSelection]], BacklogReader],
        subscribers: Subscribers,
        books: LiveBookManager,
        venues: VenueClients,
        settings: BridgeSettings,
    ) -> None:
        """``catch_up`` starts the reader of what a lossless subscriber has missed."""
        self._tailer = tailer
        self._catch_up = catch_up
        self._subscribers = subscribers
        self._books = books
        self._venues = venues
        self._settings = settings

    async def Subscribe(  # type: ignore[override]  # responses are serialised already
        self, request: live_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[bytes]:
        selections = subscription_request.selections(request)
        delivery = request.delivery
        conflation = None
        if delivery.WhichOneof("mode") == "conflated":
            conflation = subscription_request.conflation(delivery, self._settings)
        await self._require_known(selections)
        with self._subscribers.admit() as subscription:
            responses = (
                self._lossless(selections, delivery, subscription)
                if conflation is None
                else self._conflated(selections, conflation, subscription)
            )
            async with aclosing(responses):
                async for response in responses:
                    yield response

    async def _require_known(self, selections: Sequence[ChannelSelection]) -> None:
        if not self._tailer.started:
            raise StoreUnavailable("Redis has not answered yet", store="redis")
        for venue, symbols in {one.key.venue: one.symbols for one in selections}.items():
            if not self._tailer.knows(venue) and not self._venues.knows(venue):
                raise UnknownService(f"no venue {venue!r} is known", name=venue)
            await self._venues.require_listed(venue, symbols)

    async def _lossless(
        self,
        selections: Sequence[ChannelSelection],
        delivery: types_pb2.Delivery,
        subscription: Subscription,
    ) -> AsyncGenerator[bytes, None]:
        buffer = LosslessBuffer(subscription_request.buffer_bytes(delivery, self._settings))
        catch_up = self._catch_up(selections)
        async for response in catch_up.responses(subscription, buffer):
            yield response
        async for response in buffer.responses():
            yield response

    async def _conflated(
        self,
        selections: Sequence[ChannelSelection],
        conflation: ConflationOptions,
        subscription: Subscription,
    ) -> AsyncGenerator[bytes, None]:
        conflator = Conflator(
            self._books, conflation.book_depth, self._settings.conflated_trades_max
        )
        buffer = ConflatedBuffer(conflator, conflation.interval_seconds)
        with ExitStack() as kept:
            for key, symbols, _ in selections:
                subscription.join(key, buffer, symbols)
                if key.channel == types_pb2.CHANNEL_BOOK:
                    kept.enter_context(self._books.keep(key, symbols, buffer))
            async for response in buffer.responses():
                yield response
