"""The accounts of one process: put together, and served as TradeFlow."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from venuemesh.tradeflow.v1 import trade_flow_pb2

from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.errors import SettingError, StoreUnavailable
from kit.base.runtime import Runtime
from kit.base.settings import MeshSettings
from kit.base.suggestions import did_you_mean
from kit.execution.account import Account
from kit.execution.account_terms import ACCOUNTS_FILE, AccountsFile
from kit.execution.approval.keys import (
    APPROVERS_FILE,
    ApproverKeys,
    own_approvers,
    scope_of,
)
from kit.execution.approval.verifier import AccountScope, ApprovalVerifier
from kit.execution.checks.limited_symbols import LimitedSymbols, ListSymbols
from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient
from kit.execution.journal.account_journal import AccountJournal
from kit.execution.journal.anchor import AnchorFile
from kit.execution.journal.journal_file import JournalFile, SingleThreadExecutor
from kit.execution.order_metrics import OrderMetrics
from kit.execution.paper.execution_client import PaperExecutionClient
from kit.execution.paper.market_feed_adapter import MarketFeedAdapter
from kit.execution.paper.rules import PaperRules
from kit.execution.prices.market_feed import MarketFeed, ResumableMarketFeed, VerifiedBooks
from kit.execution.prices.reference_prices import (
    FeedPrices,
    FindDataProblem,
    FindInstrument,
    FindSubstitute,
    MarkPrices,
    ReferenceMarketData,
    no_substitute,
)
from kit.execution.protection import dead_man_switch
from kit.execution.readiness import REFUSED
from kit.execution.service import TradeFlowServicer
from kit.execution.settings import OrdersSettings

ORDERS_FOLDER = "orders"
PAPER_FOLDER = "paper"
ANCHORS_FOLDER = "anchors"
PAPER_ACCOUNT = "paper"
"""The paper account that every venue has in the world replay, when the settings name none."""

FILES_PAUSE_S = 1.0
READ_PAUSE_S = 0.01

_log = telemetry.logger("orders.accounts")


def paper_names(venue: str, mesh: MeshSettings, settings: OrdersSettings) -> list[str]:
    """Return the names of the paper accounts at one venue."""
    names = settings.paper_accounts_of(venue)
    return names or ([PAPER_ACCOUNT] if mesh.world == "replay" else [])


def no_data_problem(symbol: str) -> str:
    """The data of a playback has no age."""
    return ""


def no_listing() -> None:
    """What a playback lists changes with its time."""


@dataclass(frozen=True, slots=True)
class PublishedMarket:
    """What a process publishes, for the accounts that trade on it."""

    instrument: FindInstrument
    books: VerifiedBooks
    trades: MarketFeed
    """For the prices that orders are checked against and stops are triggered by."""
    feed: Callable[[], ResumableMarketFeed]
    """Makes the feed of one paper account."""
    data_problem: FindDataProblem = no_data_problem
    last_price: FindSubstitute = no_substitute
    """Asks the venue for its last trade."""
    symbols: ListSymbols = no_listing
    """The listed instruments, with which limits are compared."""


class AccountRegistry:
    """The accounts at one venue."""

    def __init__(
        self,
        venue: str,
        mesh: MeshSettings,
        settings: OrdersSettings,
        clock: Clock,
        market: PublishedMarket,
        require_venue: Callable[[str], object],
    ) -> None:
        """``require_venue`` raises SettingError for the id of a venue that is not installed."""
        self.by_name: dict[str, Account] = {}
        self.paper_clients: dict[str, PaperExecutionClient] = {}
        self._venue = venue
        self._mesh = mesh
        self._settings = settings
        self._clock = clock
        self._published = market
        self._require_venue = require_venue
        self._marks = MarkPrices(market.trades, clock, settings.stale_price_s)
        self._prices = FeedPrices(
            market.trades, market.books, market.data_problem, self._find_substitute()
        )
        self._market = ReferenceMarketData(market.instrument, self._prices)
        self._threads: list[SingleThreadExecutor] = []
        self._accounts_file: AccountsFile | None = None
        """Read when the first account is added: market data does not need it."""
        self._keys: dict[bool, ApproverKeys] = {}
        """The keys that may approve orders; by whether they are for real accounts."""
        self._limited = LimitedSymbols(venue, market.symbols, self._accounts_of_key)

    def add(self, name: str, client: ExecutionClient, *, is_paper: bool) -> None:
        """Add an account. Raises SettingError for a file of keys that cannot be read."""
        if self._accounts_file is None:
            file = self._settings.accounts_file
            path = Path(file or Path(self._mesh.data_dir) / ACCOUNTS_FILE)
            self._accounts_file = AccountsFile(path, self._clock, is_required=bool(file))
        whose = f"{self._venue}/{name}"
        context = AccountContext(
            self._venue,
            name,
            self._clock,
            self._settings,
            is_paper=is_paper,
            boot_id=dead_man_switch.boot_id(),
            accounts_file=self._accounts_file,
            file_problem=self._file_problem,
            unlisted_symbols=partial(self._unlisted_symbols, whose),
        )
        store, thread = self._store(ORDERS_FOLDER, name), self._thread(ORDERS_FOLDER, name)
        anchors = self._settings.anchors_folder or Path(self._mesh.data_dir) / ANCHORS_FOLDER
        anchor = AnchorFile(Path(anchors) / self._venue, name)
        journal = AccountJournal(store, thread, self._clock, anchor, whose)
        verifier = self._verifier(name, live=self._mesh.world == "live" and not is_paper)
        self.by_name[name] = Account(context, client, journal, verifier, self._market)

    def add_paper(self, name: str, rules: PaperRules) -> None:
        """Add a paper account. Its client has only what this process publishes: no credentials, no
        address and no budget."""
        client = self.paper_clients[name] = PaperExecutionClient(
            rules,
            partial(MarketFeedAdapter, self._published.feed(), self._published.books),
            self._store(PAPER_FOLDER, name),
            self._thread(PAPER_FOLDER, name),
            self._clock,
            self._market.instrument,
        )
        self.add(name, client, is_paper=True)

    def serve(self, runtime: Runtime) -> None:
        """Serve TradeFlow, if there is an account. Raises SettingError for an accounts file with an
        account or a key that does not exist."""
        if not self.by_name:
            return
        assert self._accounts_file is not None
        self._accounts_file.require_known(self._check_account, self._key_ids, self._limited.problem)
        servicer = TradeFlowServicer(self._venue, self.by_name)
        runtime.serve(trade_flow_pb2.DESCRIPTOR, "TradeFlow", servicer)
        runtime.run_task("prices", self._prices.run)
        if self._settings.stale_stop_price == "mark":
            runtime.run_task("marks", self._marks.run)
        gauge = runtime.meter.gauge(
            "held_symbols_stale", "Symbols of orders held here whose market data is not live"
        )
        gauge.set_function(self._stale_count)
        metrics = OrderMetrics(runtime.meter, self._clock)
        for account in self.by_name.values():
            metrics.follow(account)
        for name, client in self.paper_clients.items():
            runtime.run_task(f"paper {name}", client.run)
        for name, account in self.by_name.items():
            runtime.run_task(f"account {name}", partial(_run, account))
        runtime.run_task("files of orders", self._watch_files)
        runtime.at_end(self._close)

    async def wait_until_read(self) -> None:
        """Wait until all that is on disk has been read, or cannot be."""
        for client in self.paper_clients.values():
            await client.journal_read.wait()
        for account in self.by_name.values():
            while not (account.is_loaded or account.readiness.state == REFUSED):
                await self._clock.sleep(READ_PAUSE_S)

    def problem(self) -> str:
        """Return which file of the orders cannot be read, and which orders that are held here have
        no live market data; "" if there is neither."""
        accounts = self.by_name.items()
        found = [f"account {name}: {one.local_stops.problem}" for name, one in accounts]
        stale = [text for text in found if not text.endswith(": ")]
        return "; ".join(filter(None, (self._file_problem(), *stale)))

    def _check_account(self, name: str) -> None:
        """Raises SettingError for an account that does not exist. Those of another venue are known
        to its own process."""
        venue, _, _ = name.partition("/")
        if venue != self._venue:
            self._require_venue(venue)
            return
        named = (*self._settings.accounts, *self._settings.paper_accounts)
        own = {one for one in named if one.startswith(f"{venue}/")}
        known = own | {f"{venue}/{one}" for one in self.by_name}
        if name not in known:
            text = f"there is no such account; known are {', '.join(sorted(known))}"
            raise SettingError("account", name, text + did_you_mean(name, known))

    def _unlisted_symbols(self, account: str) -> str:
        assert self._accounts_file is not None
        return self._limited.require_listed(self._accounts_file.content, account)

    def _accounts_of_key(self, key_id: str) -> Collection[str]:
        found = (keys.find(key_id) for keys in self._keys.values())
        return next((key.accounts for key in found if key is not None), ())

    def _key_ids(self) -> Collection[str] | None:
        """The keys of the approvers file, and those of the mesh itself: a mesh has all of them in
        each of its worlds."""
        return next(iter(self._keys.values())).key_ids()

    def _file_problem(self) -> str:
        files = (self._accounts_file, *self._keys.values())
        problems = [file.problem for file in files if file is not None]
        return "; ".join(dict.fromkeys(filter(None, problems)))

    async def _watch_files(self) -> None:
        """Read the files when they change, and publish the accounts when one cannot be read, or
        can be again."""
        published = self._file_problem()
        while True:
            await self._clock.sleep(FILES_PAUSE_S)
            found = self._file_problem()
            if found != published:
                published = found
                for account in self.by_name.values():
                    account.publish_account()

    def _verifier(self, name: str, *, live: bool) -> ApprovalVerifier:
        """A verifier for one account: a real account does not know the keys of the mesh itself,
        which approve orders of paper accounts."""
        if live not in self._keys:
            data_dir = Path(self._mesh.data_dir)
            file = Path(self._settings.approvers_file or data_dir / APPROVERS_FILE)
            own = () if live else own_approvers(data_dir)
            self._keys[live] = ApproverKeys(file, self._clock, own)
        scope = AccountScope(scope_of(self._mesh), self._venue, name)
        validity_max_ns = self._settings.approval_validity_max_s * NANOSECONDS_PER_SECOND
        return ApprovalVerifier(scope, self._keys[live].find, validity_max_ns)

    def _find_substitute(self) -> FindSubstitute:
        match self._settings.stale_stop_price:
            case "mark":
                return self._marks.find
            case "venue_last":
                return self._published.last_price
        return no_substitute

    def _stale_count(self) -> int:
        return sum(len(account.local_stops.stale) for account in self.by_name.values())

    async def _close(self) -> None:
        for account in self.by_name.values():
            await account.close()
        for thread in self._threads:
            thread.close()

    def _store(self, folder: str, name: str) -> JournalFile:
        return JournalFile(Path(self._mesh.data_dir) / folder / self._venue, name)

    def _thread(self, folder: str, name: str) -> SingleThreadExecutor:
        thread = SingleThreadExecutor(f"{folder} {self._venue}/{name}")
        self._threads.append(thread)
        return thread


async def _run(account: Account) -> None:
    """Run an account. One whose journal cannot be read takes no orders; market data continues."""
    try:
        await account.run()
    except StoreUnavailable as error:
        name = account.context.account
        _log.error("account takes no orders", extra={"account": name, "detail": error.message})
        account.refuse(error.message)
        await asyncio.Event().wait()
