"""The accounts of a venue's process: what makes it a TradeFlow besides a MarketData."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from kit.base.errors import SettingError
from kit.base.runtime import Runtime
from kit.base.settings import MeshSettings
from kit.connector.host.venue_host import VenueHost
from kit.connector.process.hub_source import HubBooks, HubFeed
from kit.connector.process.settings import VenueSettings
from kit.execution import credentials
from kit.execution.accounts import Accounts, paper_names
from kit.execution.contract import Credentials
from kit.execution.paper.feed_market import FeedMarket
from kit.execution.paper.rules import rules_of
from kit.execution.prices import FeedPrices
from kit.execution.settings import OrdersSettings

DEMO_ACCOUNT = "demo"
"""The account that everybody has at a simulated exchange."""

PretendedCredentials = Callable[[str, str], Mapping[str, str] | None]
"""The credentials of a venue's account at the simulated exchange, by ccxt's names; None where the
venue takes no orders, or has no such account."""


def no_credentials(venue_id: str, account: str) -> None:
    """There is no simulated exchange."""


class VenueAccounts:
    """Of one venue. In the world simulate there is the account that everybody has there, in the
    world replay one on paper; otherwise those that the settings name."""

    def __init__(
        self,
        host: VenueHost,
        mesh: MeshSettings,
        own: VenueSettings,
        settings: OrdersSettings,
        pretended_credentials: PretendedCredentials,
    ) -> None:
        """Raises SettingError for an account without credentials, or that the venue cannot have."""
        venue = self._venue = host.venue
        self._mesh = mesh
        self._own = own
        self._settings = settings
        self._pretended_credentials = pretended_credentials
        limits = venue.limits
        budget = venue.request_budget
        if budget is not None:
            budget = budget.sibling(limits.orders_per_second, limits.orders_at_once)
        books = HubBooks(host.book_manager)
        self.accounts = Accounts(
            venue.venue_id,
            mesh,
            settings,
            host.clock,
            host.instruments.known,
            FeedPrices(HubFeed(host.hub), books),
        )
        for found in self._credentials():
            assert venue.execution_client is not None
            client = venue.execution_client(found, budget)
            self.accounts.add(found.account, client, is_paper=mesh.world != "live")
        for name in self._paper_names():
            rules = rules_of(venue.venue_id, venue.house, settings)
            self.accounts.add_paper(name, rules, partial(FeedMarket, HubFeed(host.hub), books))

    def serve(self, runtime: Runtime) -> None:
        """Take orders, where there is an account."""
        self.accounts.serve(runtime)

    def _credentials(self) -> Iterator[Credentials]:
        venue_id, world = self._venue.venue_id, self._mesh.world
        names = self._settings.accounts_of(venue_id)
        if self._own.instance:
            # Of two processes of a venue, one takes orders: an account has one journal.
            return
        if self._venue.execution_client is None or world == "replay":
            if names and world == "live":
                raise SettingError("orders.accounts", f"{venue_id}/{names[0]}", "takes no orders")
            return
        if world == "live":
            for name in names:
                yield credentials.load(venue_id, name, os.environ)
            return
        for name in names or [DEMO_ACCOUNT]:
            secrets = self._pretended_credentials(venue_id, name)
            if secrets is not None:
                yield Credentials(name, secrets)

    def _paper_names(self) -> list[str]:
        venue_id = self._venue.venue_id
        for name in self._settings.paper_accounts_of(venue_id):
            if name in self.accounts.by_name:
                what = "the pretended exchange has an account of this name"
                raise SettingError("orders.paper_accounts", f"{venue_id}/{name}", what)
        return [] if self._own.instance else paper_names(venue_id, self._mesh, self._settings)
