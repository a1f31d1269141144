"""The venues of OKX's API: their ids, ports, limits and parts."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial

from kit.base.clock import SystemClock
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
from venues.okx.book import BOOK
from venues.okx.feed import (
    CANDLE_CHANNELS,
    SPOT_CHANNELS,
    SWAP_CHANNELS,
    InstrumentOf,
    OkxFeedProtocol,
)
from venues.okx.history import OkxHistory

LIVE_FEED = "wss://ws.okx.com:8443"
SKIPPED_CARDS = {"VFY-2": "the simulator answers REST from its feed, so it has no old answer"}

LIMITS = VenueLimits(
    symbols_per_connection=100,  # only the size of a request is documented
    symbols_per_message=100,  # 40 kB of the 64 kB that a request may have
    messages_per_second=5,  # 480 an hour; a start needs a few, a new book snapshot two
    ping_interval_s=15,  # a connection that is silent for 30 s is closed
    silence_s=30,
    requests_per_second=10,
    orders_per_second=20,  # 60 in two seconds, per instrument
    orders_at_once=30,
    stale_after_s=90,  # a book without changes gets an empty update about once a minute
)


def spot(place: Environment) -> Venue:
    return _venue(
        place,
        "okx",
        port=5063,
        market_type="spot",
        profile=VenueProfile(
            "OKX",
            "spot",
            ConnectorMaturity.PROVEN,
            trade_numbering=TradeNumbering.SKIPPING,
            skipped_cards=SKIPPED_CARDS,
        ),
        channels=SPOT_CHANNELS,
        default_symbols=("BTC-USDT", "ETH-USDT"),
        fee_schedule=FeeSchedule(Decimal("0.0008"), Decimal("0.001")),
    )


def futures(place: Environment) -> Venue:
    return _venue(
        place,
        "okx_futures",
        port=5068,
        market_type="swap",
        profile=VenueProfile(
            "OKX",
            "perpetual",
            ConnectorMaturity.PREVIEW,
            notes="Sizes count contracts. Mark, index and funding have separate rows. "
            "Swaps were tested with single captured frames, not with a captured session.",
            trade_numbering=TradeNumbering.SKIPPING,
            skipped_cards=SKIPPED_CARDS,
        ),
        channels=SWAP_CHANNELS,
        default_symbols=("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
        fee_schedule=FeeSchedule(Decimal("0.0002"), Decimal("0.0005")),
    )


def _venue(
    place: Environment,
    venue_id: str,
    *,
    port: int,
    market_type: str,
    profile: VenueProfile,
    channels: Mapping[str, InstrumentOf],
    default_symbols: tuple[str, ...],
    fee_schedule: FeeSchedule,
) -> Venue:
    feed = f"{place.feed(venue_id, LIVE_FEED)}/ws/v5"
    budget = place.request_budget(venue_id, LIMITS)
    return Venue(
        venue_id=venue_id,
        port=port,
        profile=profile,
        feed_protocols=(
            OkxFeedProtocol(f"{feed}/public", channels),
            OkxFeedProtocol(f"{feed}/business", CANDLE_CHANNELS),
        ),
        book=BOOK,
        history=OkxHistory(
            venue_id, market_type, place.rest(venue_id), SystemClock(), budget=budget
        ),
        limits=LIMITS,
        default_symbols=default_symbols,
        execution_client=partial(_execution_client, place, venue_id),
        request_budget=budget,
        fee_schedule=fee_schedule,
    )


def _execution_client(
    place: Environment, venue_id: str, credentials: Credentials, budget: RequestBudget | None
) -> ExecutionClient:
    from venues.okx import orders

    return orders.execution_client(
        venue_id, credentials, place.rest(venue_id), place.transport, budget
    )


VENUES: Catalog = {"okx": spot, "okx_futures": futures}
