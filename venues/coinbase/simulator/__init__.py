"""Coinbase as an exchange would speak it: for the simulator.

``DIALECTS`` is what the simulator looks for. It speaks both feeds and both REST APIs; which feed a
connection is of, its first message tells. The conversation is here, the names of streams in
``streams``, the words of the feeds in ``advanced`` and ``exchange``, the REST calls in ``rest`` and
beside it, the lines of captures in ``capture``, a simulated market's frames in ``encode``, what
concerns an account in ``private`` and its neighbours.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kit.simulator.dialect import (
    CaptureFormat,
    Channel,
    ConnectionRules,
    Dialect,
    Frame,
    MarketView,
    RestRequest,
    RestResponse,
    Session,
    Stream,
)
from kit.simulator.events import Instrument
from kit.simulator.listing import Listing
from kit.simulator.market import Step
from venues.coinbase.simulator import advanced, exchange, rest
from venues.coinbase.simulator.answers import CoinbaseApiError, listing_of
from venues.coinbase.simulator.capture import CoinbaseCapture
from venues.coinbase.simulator.encode import Encoder, listing
from venues.coinbase.simulator.private import exchange as private_exchange
from venues.coinbase.simulator.private import exchange_feed as private_exchange_feed
from venues.coinbase.simulator.private import rest as private_rest
from venues.coinbase.simulator.private import socket as private_socket
from venues.coinbase.simulator.private.keys import MATCHING_RULES, key_of_token
from venues.coinbase.simulator.private.socket import USER, Member
from venues.coinbase.simulator.streams import (
    ADVANCED,
    EXCHANGE,
    HEARTBEATS,
    PRODUCT,
    SAME,
    CoinbaseStreams,
)

RULES = ConnectionRules(
    ping_interval_s=20,
    pong_timeout_s=60,
    messages_per_second_max=8,
    streams_max=10_000,
    lifetime_s=24 * 3600,
    subscribe_within_s=5,
)
INSTRUMENTS = (
    Instrument("BTC", "USD", 2, 8, 1, 61_800.0, 0.05, 0.030, 4.0),
    Instrument("ETH", "USD", 2, 8, 1, 2_650.0, 0.8, 0.035, 3.0),
    Instrument("SOL", "USD", 2, 8, 1, 158.0, 12.0, 0.045, 2.0),
    Instrument("XRP", "USD", 4, 6, 1, 0.5800, 900.0, 0.045, 1.0),
    Instrument("DOGE", "USD", 5, 1, 1, 0.10400, 4_000.0, 0.050, 1.0),
    Instrument("ETH", "BTC", 5, 8, 1, 0.04290, 0.8, 0.015, 0.5),
)


class _Call(msgspec.Struct):
    """``channel`` is said to Advanced Trade, ``channels`` to Exchange."""

    type: str = ""
    channel: str | None = None
    channels: list[Any] | None = None
    product_ids: list[str] = []
    jwt: str = ""
    key: str = ""
    signature: str = ""
    timestamp: str | int | float = ""
    passphrase: str = ""

    def signed(self) -> dict[str, str]:
        """What signs a message to Exchange."""
        names = ("key", "signature", "timestamp", "passphrase")
        return {name: str(getattr(self, name)) for name in names}


class _Channel(msgspec.Struct):
    """The other way to name a channel of Exchange."""

    name: str
    product_ids: list[str] = []


_call = msgspec.json.Decoder(_Call)


@dataclass(slots=True)
class CoinbaseSession(Session):
    """A connection to either feed."""

    feed: str = ""
    """"": nothing was said yet."""
    frame_count: int = 0
    """Numbered so far; only Advanced Trade numbers."""
    beat_count: int = 0
    member: Member = field(default_factory=Member)

    def numbered(self, payload: bytes) -> bytes:
        """Give a frame its number on this connection, where it has one."""
        if payload == exchange.SLOW:
            self.closing = "slow consumer"
        text = advanced.numbered(payload, self.frame_count) if self.feed == ADVANCED else None
        if text is None:
            return payload
        self.frame_count += 1
        return text

    def wanted(self) -> dict[str, list[str]]:
        """What it is subscribed to: products by channel, in the client's words."""
        found: dict[str, list[str]] = {}
        for name in self.streams:
            channel, _, product = name.partition(".")
            found.setdefault(channel, []).append(product or channel)
        return found


class Coinbase:
    """``Dialect`` of Coinbase's spot markets."""

    hosts: Collection[str] = (
        "advanced-trade-ws.coinbase.com",
        "advanced-trade-ws-user.coinbase.com",
        "ws-feed.exchange.coinbase.com",
        "api.coinbase.com",
        "api.exchange.coinbase.com",
    )
    rules = RULES
    failures: Mapping[int, bytes] = rest.FAILURES
    instruments: Sequence[Instrument] = INSTRUMENTS
    matching_rules = MATCHING_RULES

    def __init__(self) -> None:
        self._streams = CoinbaseStreams()
        self._encoder = Encoder(self._streams)
        self._early: dict[Stream, bytes] = {}
        """Updates of books that will come before the next whole book."""
        self.capture: CaptureFormat = CoinbaseCapture(self._streams)
        self.faults: Mapping[str, Callable[[Frame], Sequence[Frame]]] = {
            "error": _error,
            "slow_consumer": _slow_consumer,
            "update_before_snapshot": self._update_before_snapshot,
        }

    def open(self, path: str, query: Mapping[str, str]) -> Session | None:
        """Both feeds are at the root of their hosts."""
        return CoinbaseSession() if path.strip("/") == "" else None

    async def receive(self, session: Session, text: str, market_view: MarketView) -> list[bytes]:
        """``{"type":"subscribe","product_ids":["BTC-USD"],"channel":"level2"}``, or with
        ``"channels":["level2_batch"]``."""
        assert isinstance(session, CoinbaseSession)
        try:
            call = _call.decode(text)
        except msgspec.DecodeError:
            return [advanced.NOT_UNDERSTOOD if session.feed == ADVANCED else exchange.MALFORMED]
        session.feed = session.feed or (EXCHANGE if call.channel is None else ADVANCED)
        session.shape = session.numbered
        if session.feed == ADVANCED:
            return [*self._say_to_advanced(session, call, market_view)]
        return [*self._say_to_exchange(session, call, market_view)]

    def tick(self, session: Session, market_view: MarketView) -> list[bytes]:
        """Heartbeats: of the connection on Advanced Trade, of each product on Exchange."""
        assert isinstance(session, CoinbaseSession)
        session.beat_count += 1
        if HEARTBEATS in session.streams:
            return [advanced.heartbeat(market_view.time_ns(), session.beat_count)]
        products = session.wanted().get("heartbeat", ()) if session.feed == EXCHANGE else ()
        return [
            beat for product in products for beat in self._encoder.heartbeat(product, market_view)
        ]

    async def answer(self, request: RestRequest, market_view: MarketView) -> RestResponse:
        if private_rest.is_private(request.path):
            return await private_rest.answer(request, market_view)
        if private_exchange.is_private(request.path):
            return await private_exchange.answer(request, market_view)
        return await rest.answer(request, market_view)

    def list(self, instrument: Instrument) -> Listing:
        return listing(instrument)

    def encode(
        self, step: Step, wanted: Collection[Stream], market_view: MarketView
    ) -> Sequence[Frame]:
        return self._encoder.encode(step, wanted, market_view)

    def _say_to_advanced(
        self, session: CoinbaseSession, call: _Call, market_view: MarketView
    ) -> Sequence[bytes]:
        """Data that begins a subscription comes before its acknowledgement, as on the real feed.
        Products that are not listed are left out of it."""
        channel = call.channel or ""
        if call.type not in ("subscribe", "unsubscribe"):
            return [advanced.NOT_UNDERSTOOD]
        if channel == USER:
            return self._say_to_user(session, call, market_view)
        if channel == HEARTBEATS:
            products = [""]
        elif self._streams.get(ADVANCED, channel, "") is None:
            return [advanced.UNKNOWN_CHANNEL]
        else:
            products = [one for one in call.product_ids if _is_product(one, market_view)]
        first: list[bytes] = []
        for product in products:
            first += self._change(session, call.type, channel, product, market_view)
        return [*first, advanced.subscriptions(market_view.time_ns(), session.wanted())]

    def _say_to_user(
        self, session: CoinbaseSession, call: _Call, market_view: MarketView
    ) -> Sequence[bytes]:
        """The channel of an account, for who has signed."""
        try:
            key = key_of_token(call.jwt, market_view)
        except CoinbaseApiError:
            return [advanced.UNKNOWN_CHANNEL]
        if call.type == "unsubscribe":
            session.streams.pop(USER, None)
            first: Sequence[bytes] = ()
        else:
            session.member.want(call.product_ids)
            first = private_socket.begin(session, session.member, key.account, market_view)
        return [*first, advanced.subscriptions(market_view.time_ns(), session.wanted())]

    def _say_to_exchange(
        self, session: CoinbaseSession, call: _Call, market_view: MarketView
    ) -> Sequence[bytes]:
        """The acknowledgement comes first. One wrong name, and nothing of a request is done."""
        try:
            pairs = _pairs(call)
        except msgspec.ValidationError:
            return [exchange.MALFORMED]
        if call.type not in ("subscribe", "unsubscribe") or not pairs:
            return [exchange.refusal("no channel or no product")]
        account = ""
        for channel, product in pairs:
            if channel == USER:
                try:
                    account = private_exchange_feed.account_of(call.signed(), market_view)
                except CoinbaseApiError as refusal:
                    return [exchange.not_signed(refusal.answer.body.decode())]
            elif self._streams.get(EXCHANGE, channel, "") is None:
                return [exchange.refusal(f"{channel} is not a valid channel")]
            if not _is_product(product, market_view):
                return [exchange.refusal(f"{product} is not a valid product")]
        first: list[bytes] = []
        for channel, product in pairs:
            if channel == USER and call.type == "subscribe":
                private_exchange_feed.begin(session, session.member, product, account, market_view)
            first += self._change(session, call.type, channel, product, market_view)
        return [exchange.subscriptions(session.wanted()), *first]

    def _change(
        self,
        session: CoinbaseSession,
        verb: str,
        channel: str,
        product: str,
        market_view: MarketView,
    ) -> Sequence[bytes]:
        """Begin or end one subscription. Returns what it begins with."""
        name = f"{channel}.{product}" if product else channel
        if verb == "unsubscribe":
            session.streams.pop(name, None)
            return []
        stream = self._streams.get(session.feed, channel, product)
        if stream is None or name in session.streams:
            return []
        session.streams[name] = stream
        told_as = SAME.get(channel, channel)
        first = self._encoder.first_frames(session.feed, told_as, product, market_view)
        early = self._early.pop(stream, None)
        return first if early is None else [early, *first]

    def _update_before_snapshot(self, frame: Frame) -> Sequence[Frame]:
        """An update of a book comes twice, and again before the next whole book."""
        stream, payload = frame
        if stream.channel is not Channel.BOOK:
            return [frame]
        self._early[stream] = payload
        return [frame, frame]


def _error(frame: Frame) -> Sequence[Frame]:
    """An error before the frame, about nothing in particular."""
    return [(frame[0], advanced.NOT_UNDERSTOOD), frame]


def _slow_consumer(frame: Frame) -> Sequence[Frame]:
    """The last words to who hears the frame; the exchange hangs up."""
    return [frame, (frame[0], exchange.SLOW)]


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


def _is_product(name: str, market_view: MarketView) -> bool:
    """Whether it is listed. A capture's own list has more products than were recorded."""
    if listing_of(name, market_view) is not None:
        return True
    return market_view.recorded("/products") is not None and PRODUCT.fullmatch(name) is not None


DIALECTS: Mapping[str, Callable[[], Dialect]] = {"coinbase": Coinbase}
