"""Coinbase's websockets: the feed of Advanced Trade, and the feed of Exchange.

Documentation: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket
https://docs.cdp.coinbase.com/exchange/websocket-feed/overview
Both are at the root of their hosts. The first message of a connection decides: Advanced Trade has
one ``channel`` per message, Exchange a list of ``channels``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kit.simulator.dialect import ExchangeStream, MarketView, WebsocketSession
from kit.simulator.exchange.account_feed import report_account
from kit.simulator.exchange.rest import ApiError, engine_of
from kit.simulator.exchange.streams import StreamRegistry
from venues.coinbase.simulator.authentication import key_of_signature, key_of_token
from venues.coinbase.simulator.candles import advanced_frame, nano_text
from venues.coinbase.simulator.encode import CoinbaseEncoder
from venues.coinbase.simulator.errors import ADVANCED_ERRORS, EXCHANGE_ERRORS
from venues.coinbase.simulator.private_stream import (
    CoinbaseAdvancedAccountFeed,
    CoinbaseExchangeAccountFeed,
)
from venues.coinbase.simulator.streams import (
    ACCOUNT_STREAM,
    ADVANCED,
    EXCHANGE,
    HEARTBEATS,
    USER,
    channel_name,
    numbered,
    stream_name,
)

PRODUCT = re.compile(r"[A-Z0-9]+-[A-Z0-9-]+")
SIGNED = "GET/users/self/verify"
"""What a message to Exchange is signed for."""
ADVANCED_DENIED = b'{"type":"error","message":"authentication failure"}'
"""For an unknown channel too."""
ADVANCED_INVALID = b'{"type":"error","message":"failure to subscribe"}'
EXCHANGE_INVALID = b'{"type":"error","message":"Malformed JSON"}'
SLOW_CONSUMER = b'{"type":"error","message":"ErrSlowConsume"}'
"""The last message to a client that reads too slowly."""


class _Call(msgspec.Struct):
    """``{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}``, or with
    ``"channels":["level2_batch"]``"""

    type: str = ""
    channel: str | None = None
    channels: list[Any] | None = None
    product_ids: list[str] = []
    jwt: str = ""
    key: str = ""
    signature: str = ""
    timestamp: str | int | float = ""
    passphrase: str = ""


class _Channel(msgspec.Struct):
    """The other way to name a channel of Exchange."""

    name: str
    product_ids: list[str] = []


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class CoinbaseSession(WebsocketSession):
    """A connection to either feed."""

    feed: str = ""
    """"" before the first message."""
    frame_count: int = 0
    """How many frames of Advanced Trade were numbered."""
    heartbeat_count: int = 0
    account_feed: CoinbaseAdvancedAccountFeed | CoinbaseExchangeAccountFeed | None = None

    def numbered(self, payload: bytes) -> bytes:
        """The frame with its number on this connection, if it is counted."""
        if payload == SLOW_CONSUMER:
            self.closing = "slow consumer"
        text = numbered(payload, self.frame_count) if self.feed == ADVANCED else None
        if text is None:
            return payload
        self.frame_count += 1
        return text

    def subscriptions(self) -> dict[str, list[str]]:
        """Products by channel, with the names that the client used."""
        found: dict[str, list[str]] = {}
        for name in self.streams:
            channel, _, product = name.partition(".")
            found.setdefault(channel, []).append(product or channel)
        return found


class CoinbaseWebsocket:
    """Both feeds."""

    def __init__(
        self,
        streams: StreamRegistry,
        encoder: CoinbaseEncoder,
        early_updates: Callable[[ExchangeStream], Sequence[bytes]],
    ) -> None:
        """``early_updates``: what a fault sends before the snapshot of a stream."""
        self._streams = streams
        self._encoder = encoder
        self._early_updates = early_updates

    def open(self, path: str, query: Mapping[str, str]) -> WebsocketSession | None:
        """A connection at the root; None elsewhere."""
        return CoinbaseSession() if path.strip("/") == "" else None

    async def receive(
        self, session: WebsocketSession, text: str, market_view: MarketView
    ) -> list[bytes]:
        assert isinstance(session, CoinbaseSession)
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [ADVANCED_INVALID if session.feed == ADVANCED else EXCHANGE_INVALID]
        session.feed = session.feed or (EXCHANGE if call.channel is None else ADVANCED)
        session.shape = session.numbered
        try:
            if session.feed == ADVANCED:
                return self._advanced(session, call, market_view)
            return self._exchange(session, call, market_view)
        except ApiError as error:
            if session.feed == ADVANCED:
                return [ADVANCED_DENIED]
            return [_exchange_error("Authentication Failed", error.message)]

    def tick(self, session: WebsocketSession, market_view: MarketView) -> list[bytes]:
        """Heartbeats: of the connection on Advanced Trade, of each product on Exchange."""
        assert isinstance(session, CoinbaseSession)
        session.heartbeat_count += 1
        now_ns, count = market_view.time_ns(), session.heartbeat_count
        if HEARTBEATS in session.streams:
            at = nano_text(now_ns).replace("T", " ").replace("Z", " +0000 UTC")
            event = f'{{"current_time":"{at} m=+{count}.0","heartbeat_counter":{count}}}'
            return [advanced_frame(HEARTBEATS, now_ns, event)]
        products = session.subscriptions().get("heartbeat", ())
        return [
            frame for product in products for frame in self._encoder.heartbeat(product, market_view)
        ]

    def _advanced(
        self, session: CoinbaseSession, call: _Call, market_view: MarketView
    ) -> list[bytes]:
        """The data that a subscription begins with comes before its acknowledgement. Products that
        are not listed are left out. Raises ApiError."""
        channel = call.channel or ""
        if call.type not in ("subscribe", "unsubscribe"):
            return [ADVANCED_INVALID]
        first: list[bytes] = []
        if channel == USER:
            first = _change_account(session, call, market_view)
        elif not channel_name(ADVANCED, channel):
            return [ADVANCED_DENIED]
        else:
            listed = [one for one in call.product_ids if _is_product(one, market_view)]
            for product in [""] if channel == HEARTBEATS else listed:
                first += self._change(session, call.type, channel, product, market_view)
        event = msgspec.json.encode({"subscriptions": session.subscriptions()}).decode()
        return [*first, advanced_frame("subscriptions", market_view.time_ns(), event)]

    def _exchange(
        self, session: CoinbaseSession, call: _Call, market_view: MarketView
    ) -> list[bytes]:
        """All or nothing; the acknowledgement comes first. Raises ApiError."""
        try:
            pairs = _pairs(call)
        except msgspec.ValidationError:
            return [EXCHANGE_INVALID]
        objection = _objection(call, pairs, market_view)
        if objection:
            return [_exchange_error("Failed to subscribe", objection)]
        if any(channel == USER for channel, _ in pairs):
            account = _exchange_account(call, market_view)
            if call.type == "subscribe" and session.account_feed is None:
                feed = session.account_feed = CoinbaseExchangeAccountFeed(
                    session, account, market_view
                )
                engine = engine_of(market_view, EXCHANGE_ERRORS)
                report_account(session, engine, account, feed.frames_of)
        first: list[bytes] = []
        for channel, product in pairs:
            first += self._change(session, call.type, channel, product, market_view)
        subscriptions = session.subscriptions().items()
        channels = [{"name": name, "product_ids": products} for name, products in subscriptions]
        return [msgspec.json.encode({"type": "subscriptions", "channels": channels}), *first]

    def _change(
        self,
        session: CoinbaseSession,
        kind: str,
        channel: str,
        product: str,
        market_view: MarketView,
    ) -> Sequence[bytes]:
        """Begin or end one subscription. Returns the frames that it begins with."""
        name = f"{channel}.{product}" if product else channel
        if kind == "unsubscribe":
            session.streams.pop(name, None)
            return []
        if name in session.streams:
            return []
        if channel == USER:
            session.streams[name] = ACCOUNT_STREAM
            return []
        first_name = channel_name(session.feed, channel)
        stream = self._streams.get(stream_name(session.feed, first_name, product))
        session.streams[name] = stream
        early = self._early_updates(stream)
        frames = self._encoder.first_frames(session.feed, first_name, product, market_view)
        return [*early, *frames]


def _change_account(session: CoinbaseSession, call: _Call, market_view: MarketView) -> list[bytes]:
    """Begin or end the channel of an account at Advanced Trade. Raises ApiError."""
    account = key_of_token(call.jwt, market_view).account
    if call.type == "unsubscribe":
        session.streams.pop(USER, None)
        return []
    session.streams[USER] = ACCOUNT_STREAM
    products, feed = frozenset(call.product_ids), session.account_feed
    if not isinstance(feed, CoinbaseAdvancedAccountFeed):
        feed = CoinbaseAdvancedAccountFeed(session, account, market_view, products)
        session.account_feed = feed
        engine = engine_of(market_view, ADVANCED_ERRORS)
        report_account(session, engine, account, feed.frames_of)
    else:
        feed.products = feed.products | products if feed.products and products else frozenset()
    return feed.snapshot()


def _exchange_account(call: _Call, market_view: MarketView) -> str:
    """The account that signed a message to Exchange. Raises ApiError."""
    fields = {"key": call.key, "sign": call.signature, "passphrase": call.passphrase}
    fields["timestamp"] = str(call.timestamp)
    return key_of_signature(fields, SIGNED, market_view).account


def _pairs(call: _Call) -> list[tuple[str, str]]:
    """Channels and products of a message to Exchange. Raises ValidationError."""
    pairs: list[tuple[str, str]] = []
    for entry in call.channels or ():
        if isinstance(entry, str):
            pairs += [(entry, product) for product in call.product_ids]
        else:
            named = msgspec.convert(entry, _Channel)
            products = named.product_ids or call.product_ids
            pairs += [(named.name, product) for product in products]
    return pairs


def _objection(call: _Call, pairs: Sequence[tuple[str, str]], market_view: MarketView) -> str:
    """Why a message to Exchange is rejected; "": it is accepted."""
    if call.type not in ("subscribe", "unsubscribe") or not pairs:
        return "no channel or no product"
    for channel, product in pairs:
        if channel != USER and not channel_name(EXCHANGE, channel):
            return f"{channel} is not a valid channel"
        if not _is_product(product, market_view):
            return f"{product} is not a valid product"
    return ""


def _exchange_error(message: str, reason: str) -> bytes:
    return msgspec.json.encode({"type": "error", "message": message, "reason": reason})


def _is_product(name: str, market_view: MarketView) -> bool:
    """Whether it is listed. The list in a capture has more products than were recorded."""
    recorded = market_view.recorded("/products") is not None and PRODUCT.fullmatch(name)
    return bool(recorded) or any(one.symbol == name for one in market_view.listings())
