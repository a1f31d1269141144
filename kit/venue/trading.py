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
from kit.orders.contract import Credentials, Desk
from kit.orders.journal.files import FileStore, OneThread
from kit.orders.keys import known_keys
from kit.orders.paper.desk import PaperDesk
from kit.orders.paper.rules import rules_of
from kit.orders.rationed import RationedDesk
from kit.orders.service import TradeFlowServicer
from kit.orders.settings import OrdersSettings
from kit.runtime import Runtime
from kit.settings import MeshSettings
from kit.simulator import demo
from kit.venue.contract import Venue
from kit.venue.hub import Hub
from kit.venue.hub_market import HubMarket
from kit.venue.instruments import Instruments
from kit.venue.intake import Intake
from kit.venue.prices import HubPrices
from kit.venue.rest.budget import Budget
from kit.venue.settings import VenueSettings

ORDERS_FOLDER = "orders"
PAPER_FOLDER = "paper"
PAPER_ACCOUNT = "paper"
"""That every venue has in the world replay, when the settings name none."""

_log = telemetry.logger("venue.trading")


class Trading:
    """Of one venue. In the world simulate there is the account that everybody has there, in the
    world replay one on paper; otherwise those that the settings name."""

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
        self._hub = hub
        self._bookkeeper = intake.bookkeeper
        self._prices = HubPrices(hub, intake.bookkeeper)
        self._threads: list[OneThread] = []
        self._desks: dict[str, PaperDesk] = {}
        self._accounts = {found.account: self._real_account(found) for found in self._credentials()}
        for name in self._paper_names():
            self._accounts[name] = self._paper_account(name)

    def serve(self, runtime: Runtime) -> None:
        """Take orders, where there is an account."""
        if not self._accounts:
            return
        live = self._mesh.world == "live"
        data = Path(self._mesh.data_dir)
        # What is only on paper may be approved by anybody; an account that is real never hears of
        # the key that does it.
        keys = {
            is_live: known_keys(self._settings.public_keys, data, live=is_live)
            for is_live in {live and not account.is_paper for account in self._accounts.values()}
        }

        def verifier(account: Account) -> Verifier:
            is_live = live and not account.is_paper
            return Verifier(keys[is_live], live=is_live)

        servicer = TradeFlowServicer(self._venue.venue_id, self._accounts, verifier)
        runtime.serve(trade_flow_pb2.DESCRIPTOR, "TradeFlow", servicer)
        runtime.run_task("prices", self._prices.run)
        for name, desk in self._desks.items():
            runtime.run_task(f"paper {name}", desk.run)
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

    def _paper_names(self) -> list[str]:
        venue_id = self._venue.venue_id
        names = self._settings.paper_accounts_of(venue_id)
        for name in names:
            if name in self._accounts:
                what = "the pretended exchange has an account of this name"
                raise SettingError("orders.paper_accounts", f"{venue_id}/{name}", what)
        if self._own.instance:
            return []
        return names or ([PAPER_ACCOUNT] if self._mesh.world == "replay" else [])

    def _real_account(self, found: Credentials) -> Account:
        assert self._venue.desk is not None
        desk = RationedDesk(self._venue.desk(found), self._budget)
        return self._account(found.account, desk, is_paper=self._mesh.world != "live")

    def _paper_account(self, name: str) -> Account:
        """Its desk has nothing but what this process itself publishes: no credentials, no address
        and no budget."""
        desk = self._desks[name] = PaperDesk(
            rules_of(self._venue.venue_id, self._venue.house, self._settings),
            partial(HubMarket, self._hub, self._bookkeeper),
            self._store(PAPER_FOLDER, name),
            self._thread(PAPER_FOLDER, name),
            self._clock,
            self._instruments.known,
        )
        return self._account(name, desk, is_paper=True)

    def _account(self, name: str, desk: Desk, *, is_paper: bool) -> Account:
        return Account(
            self._venue.venue_id,
            name,
            desk,
            self._store(ORDERS_FOLDER, name),
            self._thread(ORDERS_FOLDER, name),
            self._clock,
            self._settings,
            instrument=self._instruments.known,
            prices=self._prices,
            is_paper=is_paper,
        )

    def _store(self, folder: str, name: str) -> FileStore:
        return FileStore(Path(self._mesh.data_dir) / folder / self._venue.venue_id, name)

    def _thread(self, folder: str, name: str) -> OneThread:
        thread = OneThread(f"{folder} {self._venue.venue_id}/{name}")
        self._threads.append(thread)
        return thread


async def _run(account: Account) -> None:
    """An account whose journal cannot be read takes no orders; the venue's market data go on."""
    try:
        await account.run()
    except StoreUnavailable as error:
        _log.error("no orders", extra={"account": account.name, "detail": error.message})
        account.refuse(error.message)
        await asyncio.Event().wait()
