"""The venues of Kraken's API: their ids, ports, limits and parts."""

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
from venues.kraken import book
from venues.kraken.feed import KrakenFeedProtocol
from venues.kraken.history import KrakenHistory

LIVE_FEED = "wss://ws.kraken.com"
DEPTH_USUAL = "100"

SPOT_LIMITS = VenueLimits(
    symbols_per_connection=200,  # Kraken states no limit; four channels for each symbol
    symbols_per_message=50,
    messages_per_second=10,  # no documented limit; other clients do not limit their rate
    ping_interval_s=30,  # a connection without a subscription is closed after about 60 s
    silence_s=10,  # a heartbeat comes every second
    requests_per_second=1,
    orders_per_second=0.9,  # a counter up to 60 that decreases by one a second
    orders_at_once=15,
    connections_per_minute=15,  # about 150 in ten minutes at the edge
    ban_rules=(BanRule("temporary lockout", 900),),
)


def spot(place: Environment) -> Venue:
    """Kraken spot. Option ``depth``: levels per side of a book. Raises SettingError."""
    depth = _depth(place)
    budget = place.request_budget("kraken", SPOT_LIMITS)
    return Venue(
        venue_id="kraken",
        port=5062,
        profile=VenueProfile(
            exchange="Kraken",
            segment="spot",
            maturity=ConnectorMaturity.PROVEN,
            notes="Books end at a chosen depth (option depth, 100); each message has a checksum.",
            trade_numbering=TradeNumbering.CONSECUTIVE,
        ),
        feed_protocols=(KrakenFeedProtocol(place.feed("kraken", LIVE_FEED), depth),),
        book=book.rules(depth),
        history=KrakenHistory("kraken", place.rest("kraken"), SystemClock(), budget=budget),
        limits=SPOT_LIMITS,
        default_symbols=("BTC/USDT", "ETH/USDT"),
        execution_client=partial(_execution_client, place),
        request_budget=budget,
        fee_schedule=FeeSchedule(Decimal("0.0025"), Decimal("0.0040"), fees_in_quote=True),
    )


def _execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.kraken import orders

    return orders.execution_client(credentials, place.rest("kraken"), place.transport, budget)


def _depth(place: Environment) -> int:
    chosen = place.options.get("depth", DEPTH_USUAL)
    if chosen not in map(str, book.DEPTHS):
        allowed = f"allowed are {', '.join(map(str, book.DEPTHS))}"
        raise SettingError("venues.kraken.options.depth", chosen, allowed)
    return int(chosen)


VENUES = {"kraken": spot}
