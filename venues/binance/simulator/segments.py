"""What differs between Binance's markets: addresses, rules, instruments."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from kit.simulator.dialect import ConnectionRules
from kit.simulator.events import Instrument
from kit.simulator.listing import InstrumentKind
from kit.simulator.market import INSTRUMENTS
from venues.binance.simulator import rest, symbols
from venues.binance.simulator.faults import FUTURES_FAULTS, SPOT_FAULTS, FrameFault
from venues.binance.simulator.messages import FuturesMessages, Messages, SpotMessages
from venues.binance.simulator.private import markets as private_markets
from venues.binance.simulator.private.markets import PrivateSide
from venues.binance.simulator.rest import RestApi

ROUTES = ("public", "market", "private")
"""Of futures: the first part of a websocket's path."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What differs between Binance's markets."""

    kind: InstrumentKind
    hosts: Collection[str]
    rules: ConnectionRules
    instruments: Sequence[Instrument]
    minimum_notional: Mapping[str, str]
    """By quote asset."""
    messages: Messages
    rest: RestApi
    routed: bool
    """Whether websockets are divided into ROUTES."""
    faults: Mapping[str, FrameFault]
    private: Callable[[], PrivateSide]


_SPOT_MESSAGES = SpotMessages()
SPOT = Segment(
    kind=InstrumentKind.SPOT,
    hosts=(
        "api.binance.com",
        "ws-api.binance.com",
        "stream.binance.com",
        "data-stream.binance.vision",
        "data-api.binance.vision",
    ),
    rules=ConnectionRules(
        ping_interval_s=20,
        pong_timeout_s=60,
        messages_per_second_max=5,
        streams_max=1024,
        lifetime_s=24 * 3600,
    ),
    instruments=INSTRUMENTS,
    minimum_notional={"USDT": "5.00000000", "BTC": "0.00010000"},
    messages=_SPOT_MESSAGES,
    rest=RestApi(
        prefixes=("/api/v3/", "/api/v1/"),
        messages=_SPOT_MESSAGES,
        limits=rest.Limits(
            weight_per_minute=6000,
            trades_max=1000,
            historical_usual=500,
            historical_max=1000,
            candles_max=1000,
            depth_usual=100,
            depth_max=5000,
            orders=private_markets.SPOT_ORDER_LIMITS,
        ),
        symbol=symbols.spot_symbol,
        absent=("/fapi/v1/exchangeInfo", "/dapi/v1/exchangeInfo"),
    ),
    routed=False,
    faults=SPOT_FAULTS,
    private=private_markets.spot,
)

_FUTURES_MESSAGES = FuturesMessages()
FUTURES = Segment(
    kind=InstrumentKind.PERPETUAL,
    hosts=("fapi.binance.com", "fstream.binance.com", "ws-fapi.binance.com"),
    rules=ConnectionRules(
        ping_interval_s=180,
        pong_timeout_s=600,
        messages_per_second_max=10,
        streams_max=1024,
        lifetime_s=24 * 3600,
    ),
    instruments=(
        Instrument("BTC", "USDT", 2, 3, 10, 61_800.0, 0.05, 0.030, 4.0),
        Instrument("ETH", "USDT", 2, 3, 1, 2_650.0, 0.8, 0.035, 3.0),
        Instrument("SOL", "USDT", 4, 0, 100, 158.0, 12.0, 0.045, 2.0),
        Instrument("XRP", "USDT", 4, 1, 1, 0.5800, 900.0, 0.045, 1.0),
        Instrument("DOGE", "USDT", 6, 0, 10, 0.10400, 4_000.0, 0.050, 1.0),
    ),
    minimum_notional={"USDT": "5"},
    messages=_FUTURES_MESSAGES,
    rest=RestApi(
        prefixes=("/fapi/v1/",),
        messages=_FUTURES_MESSAGES,
        limits=rest.Limits(
            weight_per_minute=2400,
            trades_max=1000,
            historical_usual=100,
            historical_max=500,
            candles_max=1500,
            depth_usual=500,
            depth_max=None,
            depths=(5, 10, 20, 50, 100, 500, 1000),
            window_ms_max=3_600_000,
            orders=private_markets.FUTURES_ORDER_LIMITS,
        ),
        symbol=symbols.futures_symbol,
        marks=True,
    ),
    routed=True,
    faults=FUTURES_FAULTS,
    private=private_markets.futures,
)
