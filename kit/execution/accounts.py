"""The accounts of one process, put together and served: what makes it a TradeFlow."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from venuemesh.tradeflow.v1 import trade_flow_pb2

from kit.base import telemetry
from kit.base.clock import Clock
from kit.base.errors import StoreUnavailable
from kit.base.runtime import Runtime
from kit.base.settings import MeshSettings
from kit.execution.account import Account
from kit.execution.approval import Verifier
from kit.execution.contract import ExecutionClient
from kit.execution.journal.files import FileStore, OneThread
from kit.execution.keys import known_keys
from kit.execution.paper.exchange import FindInstrument
from kit.execution.paper.execution_client import PaperExecutionClient
from kit.execution.paper.market import Hear, Market
from kit.execution.paper.rules import PaperRules
from kit.execution.prices import FeedPrices
from kit.execution.service import TradeFlowServicer
from kit.execution.settings import OrdersSettings

ORDERS_FOLDER = "orders"
PAPER_FOLDER = "paper"
PAPER_ACCOUNT = "paper"
"""That every venue has in the world replay, when the settings name none."""

_log = telemetry.logger("orders.accounts")


def paper_names(venue: str, mesh: MeshSettings, settings: OrdersSettings) -> list[str]:
    """Of the accounts on paper at one venue."""
    names = settings.paper_accounts_of(venue)
    return names or ([PAPER_ACCOUNT] if mesh.world == "replay" else [])


class Accounts:
    """At one venue."""

    def __init__(
        self,
        venue: str,
        mesh: MeshSettings,
        settings: OrdersSettings,
        clock: Clock,
        instrument: FindInstrument,
        prices: FeedPrices,
    ) -> None:
        self.by_name: dict[str, Account] = {}
        self.paper_desks: dict[str, PaperExecutionClient] = {}
        self._venue = venue
        self._mesh = mesh
        self._settings = settings
        self._clock = clock
        self._instrument = instrument
        self._prices = prices
        self._threads: list[OneThread] = []

    def add(self, name: str, desk: ExecutionClient, *, is_paper: bool) -> None:
        """One more."""
        self.by_name[name] = Account(
            self._venue,
            name,
            desk,
            self._store(ORDERS_FOLDER, name),
            self._thread(ORDERS_FOLDER, name),
            self._clock,
            self._settings,
            instrument=self._instrument,
            prices=self._prices,
            is_paper=is_paper,
        )

    def add_paper(
        self, name: str, rules: PaperRules, make_market: Callable[[Hear], Market]
    ) -> None:
        """One on paper. Its desk has nothing but what this process itself publishes: no
        credentials, no address and no budget."""
        desk = self.paper_desks[name] = PaperExecutionClient(
            rules,
            make_market,
            self._store(PAPER_FOLDER, name),
            self._thread(PAPER_FOLDER, name),
            self._clock,
            self._instrument,
        )
        self.add(name, desk, is_paper=True)

    def serve(self, runtime: Runtime) -> None:
        """Take orders, where there is an account."""
        if not self.by_name:
            return
        live = self._mesh.world == "live"
        data = Path(self._mesh.data_dir)
        # What is only on paper may be approved by anybody; an account that is real never hears of
        # the key that does it.
        keys = {
            is_live: known_keys(self._settings.public_keys, data, live=is_live)
            for is_live in {live and not account.is_paper for account in self.by_name.values()}
        }

        def verifier(account: Account) -> Verifier:
            is_live = live and not account.is_paper
            return Verifier(keys[is_live], live=is_live)

        servicer = TradeFlowServicer(self._venue, self.by_name, verifier)
        runtime.serve(trade_flow_pb2.DESCRIPTOR, "TradeFlow", servicer)
        runtime.run_task("prices", self._prices.run)
        for name, desk in self.paper_desks.items():
            runtime.run_task(f"paper {name}", desk.run)
        for name, account in self.by_name.items():
            runtime.run_task(f"account {name}", partial(_run, account))
        runtime.at_end(self._close)

    async def _close(self) -> None:
        for account in self.by_name.values():
            await account.close()
        for thread in self._threads:
            thread.close()

    def _store(self, folder: str, name: str) -> FileStore:
        return FileStore(Path(self._mesh.data_dir) / folder / self._venue, name)

    def _thread(self, folder: str, name: str) -> OneThread:
        thread = OneThread(f"{folder} {self._venue}/{name}")
        self._threads.append(thread)
        return thread


async def _run(account: Account) -> None:
    """An account whose journal cannot be read takes no orders; the market data go on."""
    try:
        await account.run()
    except StoreUnavailable as error:
        _log.error("no orders", extra={"account": account.name, "detail": error.message})
        account.refuse(error.message)
        await asyncio.Event().wait()
