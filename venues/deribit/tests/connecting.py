"""The connector as its process runs it, against the pretend Deribit, with what it publishes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from venuemesh.common.v1 import types_pb2
from venuemesh.marketdata.v1 import batch_pb2, market_data_pb2

from kit.clock import SystemClock
from kit.cursor import CHANNELS, Channel
from kit.telemetry import Meter
from kit.venue.books.books import BookState, GuardedBook
from kit.venue.books.resync import Resync
from kit.venue.connections.session import Session
from kit.venue.connections.subscriptions import Subscriptions
from kit.venue.contract import Place
from kit.venue.hub import Hub
from kit.venue.intake import Intake
from venues.deribit.catalog import VENUE_ID, deribit


class Connector:
    """Everything between the venue's socket and the hub."""

    def __init__(self, base: str) -> None:
        clock = SystemClock()
        self.meter = Meter(VENUE_ID)
        self.venue = deribit(Place("simulate", base.removesuffix(f"/{VENUE_ID}")))
        hub = Hub(VENUE_ID, 1, clock, self.meter)
        self.subscriptions = Subscriptions(self.venue.wires[0].channels)
        self.intake = Intake(self.venue, hub, self.subscriptions, self.meter, clock)
        self.session = Session(self.venue, self.intake, self.meter, clock)
        self.resync = Resync(
            self.intake.bookkeeper,
            self.venue.book.snapshots,
            self.venue.history,
            self.session.renew_book,
            clock,
        )
        self.batches: list[batch_pb2.MarketDataBatch] = []
        self._reader = hub.reader({}, earliest=CHANNELS, latest=(), symbols=frozenset())

    def start(self, *symbols: str) -> None:
        """Subscribe to these."""
        self.subscriptions.add(symbols)
        self.intake.bookkeeper.add(symbols)
        self.session.add(symbols)

    async def read(self) -> None:
        """Collect what is published, endless."""
        async for response in self._reader.responses():
            self.batches += market_data_pb2.SubscribeResponse.FromString(response).batches

    def of(self, channel: Channel) -> list[batch_pb2.MarketDataBatch]:
        """The batches of a channel."""
        return [batch for batch in self.batches if batch.channel == channel]

    def gaps(self, channel: Channel, symbol: str) -> list[types_pb2.Gap]:
        """What was missing of an instrument."""
        found = [gap for batch in self.of(channel) for gap in batch.gaps]
        return [gap for gap in found if gap.symbol == symbol]

    def trade_ids(self, symbol: str) -> list[int]:
        """In the order in which they were published."""
        return [
            number
            for batch in self.of(types_pb2.CHANNEL_TRADES)
            for place, number in zip(batch.trades.instrument, batch.trades.trade_id, strict=True)
            if batch.instruments[place].symbol == symbol
        ]

    @property
    def skipped(self) -> int:
        """Frames left out, and refusals."""
        return self.meter.counters.get("skipped_frames_total", 0)

    def book(self, symbol: str) -> GuardedBook:
        """As it is now."""
        return self.intake.bookkeeper.books[symbol]

    def proven(self, symbol: str) -> bool:
        """Whether its book can be relied on."""
        return self.book(symbol).state is BookState.PROVEN


@asynccontextmanager
async def connected(base: str, *symbols: str) -> AsyncIterator[Connector]:
    """Subscribed to these; ended at the end."""
    connector = Connector(base)
    connector.start(*symbols)
    work = (connector.session.run, connector.resync.run, connector.read)
    tasks = [asyncio.create_task(run()) for run in work]
    try:
        yield connector
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connector.venue.history.close()
