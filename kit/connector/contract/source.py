"""The contract for feeds that use a client library instead of our own websockets.

A venue usually has feed protocols, and ``WebsocketFeed`` carries their frames to the pipeline. A
venue may have a ``RowFeedFactory`` instead: its feed reads frames with a client library and gives
finished rows to the same pipeline, so that continuity, books, batches and services are the same.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.marketdata.model.columns import Rows


class RowSink(Protocol):
    """Takes the rows of a feed and what the feed knows of missing ones; a RowPublisher."""

    def publish(self, rows: Rows) -> bool:
        """Publish rows as they were read. Returns False, and skips them, when a number cannot be
        written."""

    def report_gap(
        self, symbol: str, channel: Channel, reason: "types_pb2.GapReason.ValueType", detail: str
    ) -> None:
        """Publish a gap: events of this instrument are missing, although the connection is open."""

    def on_connection_lost(
        self, symbols: Iterable[str], channels: Collection[Channel], reason: str
    ) -> None:
        """The connection of these instruments was lost: report what may be missing."""

    def reject_subscriptions(
        self, symbols: Iterable[str], channels: Iterable[Channel], message: str
    ) -> None:
        """The venue rejected these subscriptions for good, with this message."""


class SubscriptionSet(Protocol):
    """The subscriptions of a feed, which may change while it runs."""

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to all channels of these instruments."""

    def remove(self, symbols: Iterable[str]) -> None:
        """End these subscriptions."""


class SubscriptionRenewal(Protocol):
    """Renews single subscriptions of a feed."""

    def carries(self, symbol: str, channel: Channel) -> bool:
        """Whether events of this subscription can arrive now."""

    def renew_book(self, symbol: str) -> None:
        """Ask the venue to send this book again."""

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Subscribe again. Returns the channels of the instrument that were renewed with it."""


class Feed(SubscriptionSet, SubscriptionRenewal, Protocol):
    """The connections of a venue. Its users ask for the smaller protocols where these suffice."""

    @property
    def connected(self) -> bool:
        """Whether every connection is open."""

    def reconnect(self) -> None:
        """Drop every connection and connect again."""

    def set_paused(self, is_paused: bool) -> None:
        """Drop every connection and stay disconnected, or connect again."""

    def set_reading(self, is_reading: bool) -> None:
        """Leave data in the sockets so that the sender has to wait, or read again."""

    async def run(self) -> None:
        """Keep all connections until cancelled."""


class RowFeedFactory(Protocol):
    """Makes the feed of a venue that is read with a client library."""

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that it brings."""

    def feed(self, sink: RowSink, clock: Clock) -> Feed:
        """A feed into this sink, not connected yet."""
