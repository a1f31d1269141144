"""The venues of Binance's API: their ids, ports, limits and parts."""

from decimal import Decimal
from functools import partial

from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.request_budget import BanRule, RequestBudget
from kit.connector.contract.venue import (
    ConnectorMaturity,
    Environment,
    TradeNumbering,
    Venue,
    VenueLimits,
    VenueProfile,
)
from kit.execution.contract import Credentials, ExecutionClient
from kit.execution.paper.rules import FeeSchedule
from venues.binance.book import FUTURES_BOOK, SPOT_BOOK
from venues.binance.feed import (
    AGGREGATE_TRADES,
    FUTURES_MARKET_STREAMS,
    FUTURES_PUBLIC_STREAMS,
    FUTURES_TRADES,
    SPOT_STREAMS,
    TRADES,
    BinanceFeedProtocol,
)
from venues.binance.history import FUTURES_API, SPOT_API, BinanceHistory

SPOT_FEED = "wss://stream.binance.com:9443"
FUTURES_FEED = "wss://fstream.binance.com"

BAN_RULES = (BanRule("", 120, status=403),)
"""403 is the firewall's answer to too many calls; a ban lasts two minutes or more."""
SPOT_LIMITS = VenueLimits(
    symbols_per_connection=200,  # 1024 streams, at most five for each symbol
    symbols_per_message=50,
    messages_per_second=4,  # five incoming messages per second, our pongs included
    ping_interval_s=None,  # the venue pings every 20 s
    silence_s=60,
    lifetime_s=24 * 3600,
    requests_per_second=2,  # a snapshot weighs 50 of 6000 a minute
    orders_per_second=4,  # 50 in ten seconds
    orders_at_once=10,
    ban_rules=BAN_RULES,
)
FUTURES_LIMITS = VenueLimits(
    symbols_per_connection=200,  # 1024 streams, at most four for each symbol
    symbols_per_message=50,
    messages_per_second=8,  # ten incoming messages per second, our pings and pongs included
    ping_interval_s=20,  # the venue pings every three minutes, too seldom to see a dead one
    silence_s=60,
    lifetime_s=24 * 3600,
    requests_per_second=2,  # a snapshot weighs 20 of 2400 a minute
    orders_per_second=15,  # 300 in ten seconds, 1200 a minute
    orders_at_once=50,
    ban_rules=BAN_RULES,
)


def spot(place: Environment) -> Venue:
    """Binance spot. The option ``trades`` is single (the default) or aggregate."""
    venue_id = "binance"
    aggregate = _aggregate(place, venue_id)
    budget = place.request_budget(venue_id, SPOT_LIMITS)
    streams = (AGGREGATE_TRADES if aggregate else TRADES, *SPOT_STREAMS)
    return Venue(
        venue_id=venue_id,
        port=5060,
        profile=VenueProfile(
            "Binance", "spot", ConnectorMaturity.PROVEN, trade_numbering=TradeNumbering.CONSECUTIVE
        ),
        feed_protocols=(BinanceFeedProtocol(place.feed(venue_id, SPOT_FEED), streams),),
        book=SPOT_BOOK,
        history=BinanceHistory(
            venue_id,
            SPOT_API,
            place.rest(venue_id),
            SystemClock(),
            aggregate=aggregate,
            budget=budget,
        ),
        limits=SPOT_LIMITS,
        default_symbols=("BTCUSDT", "ETHUSDT"),
        execution_client=partial(_spot_execution_client, place),
        request_budget=budget,
    )


def futures(place: Environment) -> Venue:
    """Binance's USD-M perpetuals, with the same option."""
    venue_id = "binance_futures"
    aggregate = _aggregate(place, venue_id)
    public, market = FUTURES_PUBLIC_STREAMS, FUTURES_MARKET_STREAMS
    feed = place.feed(venue_id, FUTURES_FEED)
    budget = place.request_budget(venue_id, FUTURES_LIMITS)
    return Venue(
        venue_id=venue_id,
        port=5065,
        profile=VenueProfile(
            "Binance",
            "perpetual",
            ConnectorMaturity.PROVEN,
            # Single trades skip the ids of trades outside the order book.
            trade_numbering=(TradeNumbering.CONSECUTIVE if aggregate else TradeNumbering.SKIPPING),
        ),
        feed_protocols=(
            BinanceFeedProtocol(
                f"{feed}/public", public if aggregate else (FUTURES_TRADES, *public)
            ),
            BinanceFeedProtocol(
                f"{feed}/market", (AGGREGATE_TRADES, *market) if aggregate else market
            ),
        ),
        book=FUTURES_BOOK,
        history=BinanceHistory(
            venue_id,
            FUTURES_API,
            place.rest(venue_id),
            SystemClock(),
            aggregate=aggregate,
            budget=budget,
        ),
        limits=FUTURES_LIMITS,
        default_symbols=("BTCUSDT", "ETHUSDT"),
        execution_client=partial(_futures_execution_client, place),
        request_budget=budget,
        fee_schedule=FeeSchedule(maker=Decimal("0.0002"), taker=Decimal("0.0005")),
    )


def _spot_execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.binance import orders

    return orders.execution_client(credentials, place.rest("binance"), place.transport, budget)


def _futures_execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.binance import orders

    base_url = place.rest("binance_futures")
    return orders.futures_execution_client(credentials, base_url, place.transport, budget)


def _aggregate(place: Environment, venue_id: str) -> bool:
    trades = place.options.get("trades", "single")
    if trades not in ("single", "aggregate"):
        key = f"venues.{venue_id}.options.trades"
        raise SettingError(key, trades, "allowed are single, aggregate")
    return trades == "aggregate"


VENUES = {"binance": spot, "binance_futures": futures}
