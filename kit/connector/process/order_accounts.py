"""The accounts of a venue's process: what makes it a TradeFlow besides a MarketData."""

import math
import os
from collections.abc import Callable, Iterator, Mapping

from kit.base.errors import SettingError
from kit.base.settings import MeshSettings
from kit.connector.contract import discovery
from kit.connector.contract.venue import Venue
from kit.connector.process.hub_source import HubBooks, HubFeed, LastTrades, LiveData
from kit.connector.process.settings import VenueSettings
from kit.connector.publishing.feed_handler import FeedHandler
from kit.execution import credentials
from kit.execution.account_registry import AccountRegistry, PublishedMarket, paper_names
from kit.execution.contract import Credentials
from kit.execution.paper.rules import rules_of
from kit.execution.settings import OrdersSettings

DEMO_ACCOUNT = "demo"
"""The account that everybody has at a simulated exchange."""

SimulatedCredentials = Callable[[str, str], Mapping[str, str] | None]
"""The credentials of a venue's account at the simulated exchange, by ccxt's names; None where the
venue takes no orders, or has no such account."""


def no_credentials(venue_id: str, account: str) -> None:
    """There is no simulated exchange."""


def venue_accounts(
    feed_handler: FeedHandler,
    mesh: MeshSettings,
    own: VenueSettings,
    settings: OrdersSettings,
    simulated_credentials: SimulatedCredentials,
) -> AccountRegistry:
    """The accounts of one venue. In the world simulate there is the account that everybody has
    there, in the world replay a paper account; otherwise those that the settings name.

    Raises SettingError for an account without credentials, or that the venue cannot have.
    """
    venue = feed_handler.venue
    # A capture may stand still.
    stale_after_s = math.inf if mesh.world == "replay" else settings.stale_price_s
    market = PublishedMarket(
        feed_handler.instruments.known,
        HubBooks(feed_handler.book_manager),
        HubFeed(feed_handler.hub),
        lambda: HubFeed(feed_handler.hub),
        LiveData(feed_handler.subscriptions, feed_handler.clock, stale_after_s).problem,
        LastTrades(venue.history).newest,
        feed_handler.instruments.symbols,
    )
    accounts = AccountRegistry(
        venue.venue_id, mesh, settings, feed_handler.clock, market, discovery.require
    )
    if own.instance:
        # Of two processes of a venue, one takes orders: an account has one journal.
        return accounts
    budget = venue.request_budget
    if budget is not None:
        budget = budget.sibling(venue.limits.orders_per_second, venue.limits.orders_at_once)
    for found in _credentials(venue, mesh.world, settings, simulated_credentials):
        assert venue.execution_client is not None
        client = venue.execution_client(found, budget)
        accounts.add(found.account, client, is_paper=mesh.world != "live")
    for name in paper_names(venue.venue_id, mesh, settings):
        if name in accounts.by_name:
            what = "the simulated exchange has an account of this name"
            raise SettingError("orders.paper_accounts", f"{venue.venue_id}/{name}", what)
        accounts.add_paper(name, rules_of(venue.venue_id, venue.fee_schedule, settings))
    return accounts


def _credentials(
    venue: Venue,
    world: str,
    settings: OrdersSettings,
    simulated_credentials: SimulatedCredentials,
) -> Iterator[Credentials]:
    names = settings.accounts_of(venue.venue_id)
    if venue.execution_client is None or world == "replay":
        if names and world == "live":
            raise SettingError("orders.accounts", f"{venue.venue_id}/{names[0]}", "takes no orders")
        return
    if world == "live":
        for name in names:
            yield credentials.load(venue.venue_id, name, os.environ)
        return
    for name in names or [DEMO_ACCOUNT]:
        secrets = simulated_credentials(venue.venue_id, name)
        if secrets is not None:
            yield Credentials(name, secrets)
