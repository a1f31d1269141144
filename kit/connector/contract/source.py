"""The contract for feeds that use a client library instead of our own websockets.

A venue usually has feed protocols, and ``WebsocketFeed`` carries their frames to the pipeline. A
venue may have a ``RowSource`` instead: its feed reads frames with a client library and gives
finished rows to the same pipeline, so that continuity, books, batches and services are the same.
"""

from collections.abc import Collection, Iterable
from typing import Protocol

from venuemesh.common.v1 import types_pb2

from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.marketdata.model.columns import Rows


class RowSink(Protocol):
    """What a feed gives its rows to; the pipeline."""

    def rows(self, rows: Rows) -> bool:
        """Rows as they were read. Returns False, and leaves them out, when they have a number that
        cannot be written."""

    def missed(
        self, symbol: str, channel: Channel, reason: "types_pb2.GapReason.ValueType", detail: str
    ) -> None:
        """Something of this instrument did not arrive, while the connection stands."""

    def reconnected(
        self, symbols: Iterable[str], channels: Collection[Channel], reason: str
    ) -> None:
        """The connection of these instruments was lost; what was under way is gone."""

    def refused(self, symbol: str, channel: Channel, words: str) -> None:
        """The venue will not serve this."""


class Feed(Protocol):
    """The connections of a venue, as the process sees them."""

    @property
    def connected(self) -> bool:
        """Whether all that is subscribed to can come."""

    def carries(self, symbol: str, channel: Channel) -> bool:
        """Whether this can come now."""

    def add(self, symbols: Iterable[str]) -> None:
        """Subscribe to these."""

    def remove(self, symbols: Iterable[str]) -> None:
        """End these subscriptions."""

    def renew_book(self, symbol: str) -> None:
        """Ask the venue for this book anew."""

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Make a subscription anew. Returns the channels of the instrument that are made anew."""

    def drop(self) -> None:
        """Break every connection; they are made again."""

    def pause(self) -> None:
        """Break every connection, and stay apart."""

    def resume(self) -> None:
        """End a pause."""

    def pause_reading(self) -> None:
        """Make the sender wait, where that is possible."""

    def resume_reading(self) -> None:
        """Read on."""

    async def run(self) -> None:
        """Keep all connections, endless."""


class RowSource(Protocol):
    """A client that reads frames itself."""

    @property
    def channels(self) -> frozenset[Channel]:
        """What comes from it."""

    def feed(self, taker: RowSink, clock: Clock) -> Feed:
        """Its connections, none of them made yet."""
