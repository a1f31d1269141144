"""The venues of Examplex's API: their ids, ports, limits and parts.

To change: the addresses, PROFILE, LIMITS (from the exchange's documentation; say where in the
README), the default symbols. An exchange with a second API of the same kind gets a second function
here and a second entry in VENUES.
"""

from kit.base.clock import SystemClock
from kit.connector.contract.venue import (
    ConnectorMaturity,
    Environment,
    TradeNumbering,
    Venue,
    VenueLimits,
    VenueProfile,
)
from ops.templates.examplex.book import BOOK
from ops.templates.examplex.feed import ExamplexFeedProtocol
from ops.templates.examplex.history import ExamplexHistory

VENUE_ID = "examplex"
LIVE_FEED = "wss://feed.examplex.invalid"
LIVE_REST = "https://api.examplex.invalid"

PROFILE = VenueProfile(
    exchange="Examplex",
    segment="spot",
    maturity=ConnectorMaturity.PREVIEW,  # PROVEN when it reads real captures exactly
    notes="A made-up exchange.",
    trade_numbering=TradeNumbering.CONSECUTIVE,
)
LIMITS = VenueLimits(
    symbols_per_connection=100,
    symbols_per_message=20,
    messages_per_second=10,
    ping_interval_s=15,  # None where the exchange pings and we answer
    silence_s=30,
    requests_per_second=10,
)


def spot(place: Environment) -> Venue:
    base_url = place.rest(VENUE_ID) or LIVE_REST
    budget = place.request_budget(VENUE_ID, LIMITS)
    return Venue(
        venue_id=VENUE_ID,
        port=65_000,
        profile=PROFILE,
        feed_protocols=(ExamplexFeedProtocol(place.feed(VENUE_ID, LIVE_FEED)),),
        book=BOOK,
        history=ExamplexHistory(VENUE_ID, base_url, SystemClock(), budget=budget),
        limits=LIMITS,
        request_budget=budget,
        default_symbols=("BTC-USD", "ETH-USD"),
    )


VENUES = {VENUE_ID: spot}
