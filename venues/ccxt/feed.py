"""The feed: one watcher per stream, and its recovery from errors of ccxt.

Each channel of each instrument has a task that watches the stream and passes on its data. ccxt
subscribes on the first watch call and opens the sockets. When a socket breaks, each watcher on it
gets an error, publishes its own gap, and watches again.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from kit.base import backoff, telemetry
from kit.base.clock import Clock
from kit.base.cursor import Channel
from kit.connector.contract.source import RowSink
from venues.ccxt.exchange import CURRENT, CcxtExchange, break_socket
from venues.ccxt.streams import BOOK, FEATURES, KINDS, StreamContext

LOOK_S = 0.25
"""The longest time that data stays in ccxt's caches."""
FIRST_ANSWER_S = 30.0
"""How long to wait for the first book of a subscription: ccxt waits forever for a rejected one."""
UNWATCH_S = 5.0

_log = telemetry.logger("venues.ccxt.feed")


class CcxtStream:
    """One channel of one instrument."""

    def __init__(self, around: StreamContext, symbol: str, channel: Channel) -> None:
        self.symbol = symbol
        self.channel = channel
        self.client: Any = None
        self.refused = False
        self._around = around
        self._kind = KINDS[channel](around, symbol)
        self._answered = False

    @property
    def connected(self) -> bool:
        """Whether the stream can deliver data."""
        return self.client is not None and self.client.isConnected and self.client.error is None

    @property
    def can_unwatch(self) -> bool:
        """Whether ccxt can end this subscription without closing its socket."""
        feature = FEATURES[self.channel]
        return bool(self._around.exchange.has.get(f"unW{feature.removeprefix('w')}"))

    async def run(self) -> None:
        """Watch until cancelled, or until the exchange rejects the subscription."""
        from ccxt.base import errors

        refusals = (
            errors.BadSymbol,
            errors.NotSupported,
            errors.ArgumentsRequired,
            errors.AuthenticationError,
        )
        CURRENT.set(self)
        waits = backoff.delays()
        while True:
            self._answered = False
            try:
                await self._watch()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                # When ccxt closes a socket, it cancels the tasks that wait for it.
                self._lost("ccxt closed the socket", socket_is_bad=True)
            except refusals as error:
                self.refused = True
                self._around.sink.reject_subscriptions(
                    [self.symbol], [self.channel], str(error)[:200]
                )
                return
            except errors.ExchangeError as error:
                self._lost(repr(error)[:200], socket_is_bad=False)
            except Exception as error:  # ccxt raises any exception to its watchers
                self._lost(repr(error)[:200], socket_is_bad=True)
            if self._answered:
                waits = backoff.delays()
            await self._around.clock.sleep(next(waits))

    def sweep(self) -> None:
        """Take the data in ccxt's caches."""
        self._kind.sweep()

    def break_socket(self, reason: str) -> None:
        """Break its socket, which is unusable."""
        if self.client is not None:
            break_socket(self.client, reason)

    async def unwatch(self) -> bool:
        """End only this subscription. Returns whether that was possible; if not, it ends with its
        socket."""
        if not self.can_unwatch:
            return False
        try:
            async with asyncio.timeout(UNWATCH_S):
                await self._kind.unwatch()
        except Exception as error:  # ccxt raises any exception
            _log.info("not unsubscribed", extra={"symbol": self.symbol, "detail": repr(error)})
            return False
        return True

    def forget(self) -> None:
        self.client = None
        self._kind.forget()

    async def _watch(self) -> None:
        patience_s = FIRST_ANSWER_S if self.channel == BOOK else None
        async with asyncio.timeout(patience_s):
            answer = await self._kind.watch()
        while True:
            self._answered = True
            self._kind.take(answer)
            answer = await self._kind.watch()

    def _lost(self, reason: str, socket_is_bad: bool) -> None:
        client = self.client
        self.forget()
        _log.warning(
            "lost", extra={"symbol": self.symbol, "channel": self.channel, "reason": reason}
        )
        self._around.sink.on_connection_lost([self.symbol], [self.channel], reason)
        if socket_is_bad and client is not None:
            break_socket(client, reason)


class CcxtFeed:
    """All streams of an exchange."""

    def __init__(
        self, around: StreamContext, channels: Iterable[Channel], silence_s: float
    ) -> None:
        self._around = around
        self._channels = tuple(channels)
        self._silence_s = silence_s
        self._streams: dict[CcxtStream, asyncio.Task[None] | None] = {}
        self._asides: list[Coroutine[Any, Any, object]] = []
        self._paused = False

    @property
    def connected(self) -> bool:
        """Whether all streams that were not rejected can deliver data."""
        wanted = [stream for stream in self._streams if not stream.refused]
        return bool(wanted) and all(stream.connected for stream in wanted)

    def carries(self, symbol: str, channel: Channel) -> bool:
        """Whether this stream can deliver data."""
        streams = self._of(symbol, channel)
        return bool(streams) and all(stream.connected for stream in streams)

    def add(self, symbols: Iterable[str]) -> None:
        for symbol in symbols:
            for channel in self._channels:
                self._streams[CcxtStream(self._around, symbol, channel)] = None

    def remove(self, symbols: Iterable[str]) -> None:
        unwanted = set(symbols)
        for stream in [one for one in self._streams if one.symbol in unwanted]:
            _end(self._streams.pop(stream))
            self._asides.append(stream.unwatch())
            stream.forget()

    def renew_book(self, symbol: str) -> None:
        """Make ccxt rebuild a book."""
        self.renew(symbol, BOOK)

    def renew(self, symbol: str, channel: Channel) -> frozenset[Channel]:
        """Renew a subscription. Other streams of the same socket publish their own gaps."""
        streams = self._of(symbol, channel)
        self._asides += [self._renew(stream) for stream in streams]
        return frozenset(stream.channel for stream in streams)

    def reconnect(self) -> None:
        """Break every socket; they are reopened."""
        self._around.exchange.break_all("dropped")

    def set_paused(self, is_paused: bool) -> None:
        """Break every socket and stay disconnected, or watch again."""
        self._paused = is_paused
        if not is_paused:
            return
        for stream, task in self._streams.items():
            _end(task)
            self._streams[stream] = None
            stream.forget()
            self._around.sink.on_connection_lost([stream.symbol], [stream.channel], "paused")
        self._around.exchange.break_all("paused")

    def set_reading(self, is_reading: bool) -> None:
        """Do nothing: ccxt cannot be made to wait."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                self._start(group)
                await self._around.clock.sleep(LOOK_S)
                for stream in self._streams:
                    stream.sweep()
                self._around.exchange.break_silent(self._silence_s)

    def _start(self, group: asyncio.TaskGroup) -> None:
        asides, self._asides = self._asides, []
        for aside in asides:
            group.create_task(aside)
        if not self._paused:
            for stream, task in self._streams.items():
                if task is None:
                    self._streams[stream] = group.create_task(stream.run())

    async def _renew(self, stream: CcxtStream) -> None:
        """A watcher of an ended subscription would wait forever, so it is restarted."""
        if not await stream.unwatch():
            stream.break_socket(f"a new subscription of {stream.symbol} is needed")
        elif stream in self._streams:
            _end(self._streams[stream])
            self._streams[stream] = None
            stream.forget()

    def _of(self, symbol: str, channel: Channel) -> list[CcxtStream]:
        return [one for one in self._streams if (one.symbol, one.channel) == (symbol, channel)]


class CcxtFeedFactory:
    """The market data of one exchange, as its venue process reads it."""

    def __init__(
        self, exchange: CcxtExchange, depth: int, consecutive: bool, silence_s: float
    ) -> None:
        self.exchange = exchange
        self._depth = depth
        self._consecutive = consecutive
        self._silence_s = silence_s

    @property
    def channels(self) -> frozenset[Channel]:
        """The channels that ccxt.pro supports for this exchange."""
        has = self.exchange.has
        return frozenset(channel for channel, feature in FEATURES.items() if has.get(feature))

    def feed(self, sink: RowSink, clock: Clock) -> CcxtFeed:
        """Create the feed without opening sockets."""
        around = StreamContext(self.exchange, sink, clock, self._depth, self._consecutive)
        return CcxtFeed(around, self.channels, self._silence_s)


def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
