"""The settings of orders, section ``orders``."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from kit.base.errors import SettingError
from kit.execution.contract import Transport

SelfTradeSetting: TypeAlias = Literal["cancel_taker", "cancel_maker", "cancel_both", "allow"]
StaleStopPrice: TypeAlias = Literal["none", "mark", "venue_last"]
"""What triggers stops that are held here while their trades are not live."""


class OrdersSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are the same for all venues."""

    accounts: tuple[str, ...] = ()
    """The accounts, each as "venue/account". Their credentials are not settings."""
    approvers_file: str = ""
    """The TOML file of the keys that may approve orders. Empty: keys/approvers.toml in the data
    folder."""
    anchors_folder: str = ""
    """The folder of the anchors, by which an old copy of a journal is found out. Best on another
    disk than the data folder. Empty: anchors in the data folder."""
    accounts_file: str = ""
    """The TOML file of the limits of accounts and keys. Empty: keys/accounts.toml in the data
    folder, which need not exist."""
    approval_validity_max_s: int = 60
    """An approval that is valid for longer than this from now on is rejected."""
    withdraw_allowed: tuple[str, ...] = ()
    """Accounts whose credentials may have the right to withdraw; others with it are rejected."""
    transport: Transport = "websocket"
    """websocket: orders are sent over the venue's order websocket, and by REST where there is none
    or while it is not open. rest: always by REST."""
    place_timeout_s: float = 10.0
    """An order without a verdict after this time is UNKNOWN."""
    ask_timeout_s: float = 10.0
    """The timeout of every other call."""
    arrival_s: float = 10.0
    """How long after its timeout a call may still arrive at the venue."""
    noes: int = 3
    """How many times, after that time, the venue must answer that it knows no such order before the
    order counts as never arrived."""
    pause_max_s: float = 60.0
    """The longest pause between two queries for an order in doubt."""
    reconcile_interval_s: float = 60.0
    """How often journal and venue are compared while nothing is wrong."""
    dead_man_s: float = 15.0
    """After the first heartbeat of the order authority, all entries are cancelled when none arrives
    for this time."""
    keep_days: int = 7
    """How long an order that has ended is kept."""
    keep_orders: int = 20_000
    """How many orders that have ended are kept, once their approvals have expired too."""
    ring_events: int = 10_000
    """Events of an account that are kept for readers."""
    price_band_percent: int = 20
    """A limit price further than this beyond the best price, or beyond the stop price of its order,
    is rejected, and so is an entry while the book is not proven. 0: no limit."""
    market_band_percent: int = 1
    """Market orders and triggered stops trade at most this far beyond the best price at the time of
    sending. Without a proven book a market order is rejected, unless it limits a loss. 0: any
    price."""
    self_trade_prevention: SelfTradeSetting = "cancel_taker"
    """What happens when an entry meets an order of the same account, if its content does not say:
    cancel_taker, cancel_maker, cancel_both or allow."""
    stale_price_s: float = 10.0
    """A stop that waits in this process is rejected while no event of its symbol came for this
    time. If one is held already, this is an alarm, and it keeps working."""
    stale_stop_price: StaleStopPrice = "venue_last"
    """The price that triggers stops held in this process while no live trades come. venue_last: the
    last trade, asked by REST. mark: the mark price of the channel MARKS. none: they wait."""
    paper_accounts: tuple[str, ...] = ()
    """Paper accounts, each as "venue/account": their orders are matched against our own market
    data and never sent to the venue. Empty in the world replay: one named "paper" at each
    venue."""
    paper_balances: tuple[str, ...] = (
        "USDT:100000",
        "USDC:100000",
        "USD:100000",
        "EUR:100000",
        "BTC:1",
        "ETH:10",
    )
    """The balances of a new paper account, each as "ASSET:AMOUNT"."""
    paper_fees: tuple[str, ...] = ()
    """Maker and taker fees as shares of the value, each as "venue:MAKER:TAKER". Default: the
    venue's usual tier."""
    paper_latency_ms: int = 20
    """The shortest time of an order to the paper venue, and of an answer back."""
    paper_jitter_ms: int = 10
    """Random delay on top: the median; now and then it is ten times as long."""
    paper_leverage: int = 10
    """The margin of a paper derivative is its value divided by this."""
    paper_seed: int = 0
    """The seed of that random delay. 0: another one at each start."""

    def __post_init__(self) -> None:
        for name in (
            "place_timeout_s",
            "ask_timeout_s",
            "arrival_s",
            "pause_max_s",
            "reconcile_interval_s",
            "dead_man_s",
            "stale_price_s",
        ):
            if not 0.1 <= getattr(self, name) <= 3600:
                raise SettingError(f"orders.{name}", getattr(self, name), "0.1 to 3600")
        counts = ("approval_validity_max_s", "noes", "keep_days", "keep_orders", "ring_events")
        for name in counts:
            if getattr(self, name) < 1:
                raise SettingError(f"orders.{name}", getattr(self, name), "at least 1")
        for name in ("price_band_percent", "market_band_percent"):
            if not 0 <= getattr(self, name) <= 100:
                raise SettingError(f"orders.{name}", getattr(self, name), "0 to 100")
        for name in (*self.accounts, *self.withdraw_allowed, *self.paper_accounts):
            venue, slash, account = name.partition("/")
            if not (venue and slash and account) or "/" in account or account.startswith("."):
                raise SettingError("orders.accounts", name, 'must be "venue/account"')
        self._check_paper()

    def accounts_of(self, venue: str) -> list[str]:
        """Return the names of the accounts at one venue."""
        return _at(venue, self.accounts)

    def paper_accounts_of(self, venue: str) -> list[str]:
        """Return the names of the paper accounts at one venue."""
        return _at(venue, self.paper_accounts)

    def may_withdraw(self, venue: str, account: str) -> bool:
        """Whether the account's credentials may have the right to withdraw."""
        return f"{venue}/{account}" in self.withdraw_allowed

    def _check_paper(self) -> None:
        if not 1 <= self.paper_leverage <= 1000:
            raise SettingError("orders.paper_leverage", self.paper_leverage, "1 to 1000")
        for name in ("paper_latency_ms", "paper_jitter_ms"):
            if not 0 <= getattr(self, name) <= 5000:
                raise SettingError(f"orders.{name}", getattr(self, name), "0 to 5000")
        for name in self.paper_accounts:
            if name in self.accounts:
                raise SettingError(
                    "orders.paper_accounts", name, "must not be in orders.accounts too"
                )


def _at(venue: str, names: Sequence[str]) -> list[str]:
    parts = (name.split("/") for name in names)
    return [account for at, account in parts if at == venue]
