"""The venue of Deribit's API: its id, port, limits and parts."""

from decimal import Decimal
from functools import partial

from kit.base.clock import NANOSECONDS_PER_SECOND, SystemClock
from kit.base.request_budget import RequestBudget
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
from venues.deribit.book import BOOK
from venues.deribit.feed import DeribitFeedProtocol
from venues.deribit.history import DeribitHistory

VENUE_ID = "deribit"
LIVE_FEED = "wss://www.deribit.com"

FUNDING_PERIOD_NS = 8 * 3600 * NANOSECONDS_PER_SECOND
"""Deribit charges funding continuously; `current_funding` is the rate of eight hours."""
LIMITS = VenueLimits(
    symbols_per_connection=100,  # five channels each
    symbols_per_message=50,  # a request may have 32 KiB, this has about 8
    messages_per_second=3,  # a subscription costs 3,000 credits; 10,000 a second are refilled
    ping_interval_s=None,  # the venue sends test requests, because of set_heartbeat
    silence_s=40,
    requests_per_second=10,
    orders_per_second=4,  # 5 in the lowest tier
    orders_at_once=15,  # 20 there
)


def deribit(place: Environment) -> Venue:
    """Deribit: perpetuals, futures and options of all currencies."""
    budget = place.request_budget(VENUE_ID, LIMITS)
    return Venue(
        venue_id=VENUE_ID,
        port=5081,
        profile=VenueProfile(
            exchange="Deribit",
            segment="derivatives",
            maturity=ConnectorMaturity.PROVEN,
            notes="Sizes are the venue's amounts: US dollars where the contract is inverse.",
            trade_numbering=TradeNumbering.CONSECUTIVE,
            candles_sum_trades=False,
        ),
        feed_protocols=(DeribitFeedProtocol(place.feed(VENUE_ID, LIVE_FEED)),),
        book=BOOK,
        history=DeribitHistory(VENUE_ID, place.rest(VENUE_ID), SystemClock(), budget=budget),
        limits=LIMITS,
        default_symbols=("BTC-PERPETUAL", "ETH-PERPETUAL"),
        execution_client=partial(_execution_client, place),
        request_budget=budget,
        fee_schedule=FeeSchedule(
            Decimal(0),
            Decimal("0.0005"),
            continuous_funding_period_ns=FUNDING_PERIOD_NS,
        ),
    )


def _execution_client(
    place: Environment, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.deribit import orders

    return orders.execution_client(credentials, place.rest(VENUE_ID), place.transport, budget)


VENUES = {VENUE_ID: deribit}
