"""The venues of Bybit's API: their ids, ports, limits and parts."""

from functools import partial

from kit.base.clock import SystemClock
from kit.base.errors import SettingError
from kit.base.request_budget import BanRule, RequestBudget
from kit.connector.contract.venue import (
    ConnectorMaturity,
    Environment,
    Venue,
    VenueLimits,
    VenueProfile,
)
from kit.execution.contract import Credentials, ExecutionClient
from venues.bybit.book import BOOK
from venues.bybit.feed import DEPTHS, BybitFeedProtocol
from venues.bybit.history import BybitHistory

VENUE_ID = "bybit"
LIVE_FEED = "wss://stream.bybit.com"
DEPTH_USUAL = "200"
"""REST snapshots have the update ids of this depth, so books of this depth can be compared with
them."""

PROFILE = VenueProfile(
    exchange="Bybit",
    segment="spot",
    maturity=ConnectorMaturity.PROVEN,
    notes="Trade ids do not show missing trades; REST has the newest 60 trades. "
    "Option depth: levels of the book, 50 (every 20 ms), 200 or 1000 (every 200 ms).",
    trade_history=(),
    skipped_cards={"VFY-2": "the simulator answers REST from its feed, so it has no old answer"},
)
LIMITS = VenueLimits(
    symbols_per_connection=100,  # 21,000 characters of topics, at most 180 for a symbol
    symbols_per_message=20,  # one request each; ten topics are allowed, a symbol has five
    messages_per_second=50,
    ping_interval_s=20,
    silence_s=60,
    requests_per_second=20,  # 120 are allowed, shared by all clients at this address
    orders_per_second=10,  # 20 of each kind
    orders_at_once=10,
    ban_rules=(BanRule("access too frequent", 600, status=403),),
)


def spot(place: Environment) -> Venue:
    """Bybit spot. Raises SettingError for a depth that the venue does not have."""
    depth = place.options.get("depth", DEPTH_USUAL)
    if depth not in DEPTHS:
        key = f"venues.{VENUE_ID}.options.depth"
        raise SettingError(key, depth, f"allowed are {', '.join(DEPTHS)}")
    budget = place.request_budget(VENUE_ID, LIMITS)
    return Venue(
        venue_id=VENUE_ID,
        port=5061,
        profile=PROFILE,
        feed_protocols=(BybitFeedProtocol(place.feed(VENUE_ID, LIVE_FEED), depth),),
        book=BOOK,
        history=BybitHistory(VENUE_ID, place.rest(VENUE_ID), SystemClock(), budget=budget),
        limits=LIMITS,
        default_symbols=("BTCUSDT", "ETHUSDT"),
        execution_client=partial(_execution_client, place),
        request_budget=budget,
    )


def _execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.bybit import orders

    return orders.execution_client(credentials, place.rest(VENUE_ID), place.transport, budget)


VENUES = {VENUE_ID: spot}
