"""The venue of Coinbase's spot markets: its id, port, limits and parts, over either feed."""

from decimal import Decimal
from functools import partial

from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.request_budget import RequestBudget
from kit.connector.contract.venue import (
    Catalog,
    ConnectorMaturity,
    Environment,
    TradeNumbering,
    Venue,
    VenueLimits,
    VenueProfile,
)
from kit.execution.contract import Credentials, ExecutionClient
from kit.execution.paper.rules import FeeSchedule
from venues.coinbase import parse
from venues.coinbase.book import BOOK
from venues.coinbase.feed import CoinbaseAdvancedFeedProtocol, CoinbaseExchangeFeedProtocol
from venues.coinbase.history import CoinbaseAdvancedHistory, CoinbaseExchangeHistory

ADVANCED_FEED = "wss://advanced-trade-ws.coinbase.com"
EXCHANGE_FEED = "wss://ws-feed.exchange.coinbase.com"

ADVANCED_LIMITS = VenueLimits(
    symbols_per_connection=10,  # a lost frame may belong to any book, so all books restart
    symbols_per_message=10,
    messages_per_second=4,  # eight without a key, per address
    ping_interval_s=20,
    silence_s=15,  # a heartbeat comes every second
    requests_per_second=8,  # ten, per address
    orders_per_second=10,  # 15 to 30, by key
    orders_at_once=15,
    connections_per_minute=240,  # eight a second, per address
)
EXCHANGE_LIMITS = VenueLimits(
    symbols_per_connection=50,
    symbols_per_message=50,
    messages_per_second=4,
    ping_interval_s=20,
    silence_s=15,  # a heartbeat comes every second for each product
    requests_per_second=8,  # ten, per address
    orders_per_second=10,  # 15 to 30, by key
    orders_at_once=15,
    connections_per_minute=240,  # eight a second, per address
)

FEE_SCHEDULE = FeeSchedule(Decimal("0.004"), Decimal("0.006"), fees_in_quote=True)


def spot(place: Environment) -> Venue:
    """Coinbase spot. The option ``feed`` is advanced (the default) or exchange."""
    feed = place.options.get("feed", "advanced")
    if feed == "advanced":
        return _advanced(place)
    if feed == "exchange":
        return _exchange(place)
    raise SettingError("venues.coinbase.options.feed", feed, "allowed are advanced, exchange")


def _advanced(place: Environment) -> Venue:
    budget = place.request_budget("coinbase", ADVANCED_LIMITS)
    return Venue(
        venue_id="coinbase",
        port=5064,
        profile=_profile(ConnectorMaturity.PREVIEW, "over the Advanced Trade feed"),
        feed_protocols=(CoinbaseAdvancedFeedProtocol(place.feed("coinbase", ADVANCED_FEED)),),
        book=BOOK,
        history=CoinbaseAdvancedHistory(
            "coinbase", place.rest("coinbase"), SystemClock(), budget=budget
        ),
        limits=ADVANCED_LIMITS,
        default_symbols=("BTC-USD", "ETH-USD"),
        execution_client=partial(_execution_client, place),
        request_budget=budget,
        fee_schedule=FEE_SCHEDULE,
        connection_sequence=parse.advanced_sequence,
    )


def _exchange(place: Environment) -> Venue:
    budget = place.request_budget("coinbase", EXCHANGE_LIMITS)
    return Venue(
        venue_id="coinbase",
        port=5064,
        profile=_profile(ConnectorMaturity.PROVEN, "over the Exchange feed"),
        feed_protocols=(CoinbaseExchangeFeedProtocol(place.feed("coinbase", EXCHANGE_FEED)),),
        book=BOOK,
        history=CoinbaseExchangeHistory(
            "coinbase", place.rest("coinbase"), SystemClock(), budget=budget
        ),
        limits=EXCHANGE_LIMITS,
        default_symbols=("BTC-USD", "ETH-USD"),
        execution_client=partial(_execution_client, place),
        request_budget=budget,
        fee_schedule=FEE_SCHEDULE,
    )


def _profile(maturity: ConnectorMaturity, notes: str) -> VenueProfile:
    return VenueProfile(
        exchange="Coinbase",
        segment="spot",
        maturity=maturity,
        notes=notes,
        trade_numbering=TradeNumbering.CONSECUTIVE,
    )


def _execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    """Orders go to Advanced Trade, whichever feed is read."""
    from venues.coinbase import orders

    return orders.execution_client(credentials, place.rest("coinbase"), place.transport, budget)


VENUES: Catalog = {"coinbase": spot}
