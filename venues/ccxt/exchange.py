"""One exchange of ccxt.pro, guarded: what would kill it in silence breaks one socket in the open.

An exception that leaves ccxt's message handling, a bad JSON text among them, ends the loop that
receives, while the socket stays open and no watcher ever gets it. Here such an exception ends
that socket: every watcher on it gets an error at once, and the next one makes a new socket.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol

from kit.base import telemetry
from kit.base.request_budget import RequestBudget
from kit.connector.rest import ccxt_loader

TRADES_MAX = 10_000
"""Trades of one symbol that may come in one burst; ccxt's own 1000 lose the rest unsaid. They are
taken out at once, so that this is no memory in use."""
KEEP_ALIVE_MS_MAX = 15_000
"""ccxt pings some exchanges every three minutes only."""
MILLISECONDS_PER_SECOND = 1_000

_log = telemetry.logger("venues.ccxt.exchange")


class StreamWatcher(Protocol):
    """Who awaits one stream of an exchange."""

    client: Any
    """The socket of ccxt over which it comes."""


CURRENT: ContextVar[StreamWatcher | None] = ContextVar("current", default=None)
"""Of the running task."""


class CcxtExchange:
    """The object of ccxt.pro, made when first needed. History and feed share it."""

    def __init__(
        self, exchange_id: str, config: Mapping[str, Any], budget: RequestBudget | None = None
    ) -> None:
        self.budget = budget
        """Of REST calls; None: they go out at once."""
        self._exchange_id = exchange_id
        self._config = config
        self._class: Any = None
        self._made: Any = None

    @property
    def has(self) -> Mapping[str, Any]:
        """What ccxt says that the exchange can do."""
        features: Mapping[str, Any] = self.api.has
        return features

    @property
    def api(self) -> Any:
        if self._made is None:
            loaded = ccxt_loader.load_streaming(self._exchange_id)
            guarded = type(self._exchange_id, (_Guarded, loaded), {})
            usual = {"newUpdates": True, "options": {"tradesLimit": TRADES_MAX}}
            self._made = guarded(loaded.deep_extend(usual, self._config))
            self._made.request_budget = self.budget
            streaming = self._made.streaming
            usual_ms = streaming.get("keepAlive") or KEEP_ALIVE_MS_MAX
            streaming["keepAlive"] = min(usual_ms, KEEP_ALIVE_MS_MAX)
        return self._made

    def sockets(self) -> list[Any]:
        """The sockets of ccxt that are in use."""
        return [] if self._made is None else list((self._made.clients or {}).values())

    def break_silent(self, silence_s: float) -> None:
        """End the sockets over which nothing at all has come for so long, not even a pong."""
        for client in self.sockets():
            heard_ms = client.last_message_at or client.connectionEstablished
            if client.isConnected and heard_ms is not None:
                silent_s = (self.api.milliseconds() - heard_ms) / MILLISECONDS_PER_SECOND
                if silent_s > silence_s:
                    break_socket(client, f"silent for {silent_s:.0f} s")

    def break_all(self, reason: str) -> None:
        for client in self.sockets():
            break_socket(client, reason)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


def break_socket(client: Any, reason: str) -> None:
    """End a socket, so that everyone who waits for it gets an error. ccxt's own ``close`` would
    cancel them instead."""
    from ccxt.base.errors import NetworkError

    if client.error is None:
        _log.warning("socket given up", extra={"url": client.url, "reason": reason})
        client.on_error(NetworkError(reason))


class _Guarded:
    """Before an exchange of ccxt.pro."""

    def client(self, url: str) -> Any:
        made = super().client(url)  # type: ignore[misc]  # of the exchange
        if "handle_message" not in vars(made):
            made.handle_message = partial(_handle_safely, made, made.handle_message)
        return made

    def watch(self, url: str, *arguments: Any, **named: Any) -> Any:
        self._note(url)
        return super().watch(url, *arguments, **named)  # type: ignore[misc]  # of the exchange

    def watch_multiple(self, url: str, *arguments: Any, **named: Any) -> Any:
        self._note(url)
        return super().watch_multiple(url, *arguments, **named)  # type: ignore[misc]  # as above

    def _note(self, url: str) -> None:
        """Remember over which socket the stream of this task comes. An error reaches only those who
        wait at that moment; who has just been answered would go on over a new socket unawares."""
        from ccxt.base.errors import NetworkError

        watcher = CURRENT.get()
        if watcher is not None:
            client = self.client(url)
            if watcher.client not in (None, client):
                raise NetworkError("the socket was lost meanwhile")
            watcher.client = client


def _handle_safely(client: Any, handle: Callable[[Any], None], message: Any) -> None:
    if client.error is not None:
        return
    try:
        handle(message)
    except Exception as error:  # whatever ccxt's handlers of 76 exchanges raise
        break_socket(client, f"a message could not be handled: {error!r}"[:300])
