"""The accounts of a venue's process: what makes it a TradeFlow besides a MarketData."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from venuemesh.tradeflow.v1 import trade_flow_pb2

from kit import telemetry
from kit.clock import Clock
from kit.errors import SettingError, StoreUnavailable
from kit.orders import credentials
from kit.orders.account import Account
from kit.orders.approval import Verifier
from kit.orders.contract import Credentials
from kit.orders.journal.files import FileStore, OneThread
from kit.orders.keys import known_keys
from kit.orders.rationed import RationedDesk
from kit.orders.service import TradeFlowServicer
from kit.orders.settings import OrdersSettings
from kit.runtime import Runtime
from kit.settings import MeshSettings
from kit.simulator import demo
from kit.venue.contract import Venue
from kit.venue.hub import Hub
from kit.venue.instruments import Instruments
from kit.venue.intake import Intake
from kit.venue.prices import HubPrices
from kit.venue.rest.budget import Budget
from kit.venue.settings import VenueSettings

ORDERS_FOLDER = "orders"

_log = telemetry.logger("venue.trading")


class Trading:
    """Of one venue. In the world simulate there is the account that everybody has there; otherwise
    those that the settings name."""

    def __init__(
        self,
        venue: Venue,
        mesh: MeshSettings,
        own: VenueSettings,
        settings: OrdersSettings,
        budget: Budget,
        hub: Hub,
        intake: Intake,
        instruments: Instruments,
        clock: Clock,
    ) -> None:
        """Raises SettingError for an account without credentials, or that the venue cannot have."""
        self._venue = venue
        self._mesh = mesh
        self._own = own
        self._settings = settings
        limits = venue.limits
        self._budget = budget.beside(limits.orders_per_second, limits.orders_at_once)
        self._instruments = instruments
        self._clock = clock
        self._prices = HubPrices(hub, intake.bookkeeper)
        self._threads: list[OneThread] = []
        self._accounts = {found.account: self._account(found) for found in self._credentials()}

    def serve(self, runtime: Runtime) -> None:
        """Take orders, where there is an account."""
        if not self._accounts:
            return
        live = self._mesh.world == "live"
        keys = known_keys(self._settings.public_keys, Path(self._mesh.data_dir), live=live)
        servicer = TradeFlowServicer(
            self._venue.venue_id, self._accounts, lambda: Verifier(keys, live=live)
        )
        runtime.serve(trade_flow_pb2.DESCRIPTOR, "TradeFlow", servicer)
        runtime.run_task("prices", self._prices.run)
        for name, account in self._accounts.items():
            runtime.run_task(f"account {name}", partial(_run, account))
        runtime.at_end(self._close)

    async def _close(self) -> None:
        for account in self._accounts.values():
            await account.close()
        for thread in self._threads:
            thread.close()

    def _credentials(self) -> Iterator[Credentials]:
        venue_id, world = self._venue.venue_id, self._mesh.world
        names = self._settings.accounts_of(venue_id)
        if self._own.instance:
            # Of two processes of a venue, one takes orders: an account has one journal.
            return
        if self._venue.desk is None or world == "replay":
            if names and world == "live":
                raise SettingError("orders.accounts", f"{venue_id}/{names[0]}", "takes no orders")
            return
        if world == "live":
            for name in names:
                yield credentials.load(venue_id, name, os.environ)
            return
        for name in names or [demo.DEMO_ACCOUNT]:
            secrets = demo.credentials(venue_id, name)
            if secrets is not None:
                yield Credentials(name, secrets)

    def _account(self, found: Credentials) -> Account:
        assert self._venue.desk is not None
        venue_id, name = self._venue.venue_id, found.account
        folder = Path(self._mesh.data_dir) / ORDERS_FOLDER / venue_id
        thread = OneThread(f"journal {venue_id}/{name}")
        self._threads.append(thread)
        return Account(
            venue_id,
            name,
            RationedDesk(self._venue.desk(found), self._budget),
            FileStore(folder, name),
            thread,
            self._clock,
            self._settings,
            instrument=self._instruments.known,
            prices=self._prices,
            is_paper=self._mesh.world != "live",
        )


async def _run(account: Account) -> None:
    """An account whose journal cannot be read takes no orders; the venue's market data go on."""
    try:
        await account.run()
    except StoreUnavailable as error:
        _log.error("no orders", extra={"account": account.name, "detail": error.message})
        account.refuse(error.message)
        await asyncio.Event().wait()
