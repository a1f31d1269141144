"""Settings of orders, section ``orders``."""

from collections.abc import Sequence

import msgspec

from kit.base.errors import SettingError
from kit.execution.contract import Transport


class OrdersSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all venues."""

    accounts: tuple[str, ...] = ()
    """Accounts that there are, each as "venue/account". Their credentials stand apart."""
    public_keys: tuple[str, ...] = ()
    """Who may approve orders: "NAME:KEY", the Ed25519 key as base64 of its 32 bytes."""
    withdraw_allowed: tuple[str, ...] = ()
    """Accounts whose credentials may withdraw; those of others are refused when they may."""
    transport: Transport = "websocket"
    """websocket: orders go over the venue's order websocket where it has one, and by REST while
    that is not open. rest: always by REST."""
    place_timeout_s: float = 10.0
    """An order that the venue has not answered after so long is UNKNOWN."""
    ask_timeout_s: float = 10.0
    """So long any other call may take."""
    arrival_s: float = 10.0
    """So long a call that was given up may still be on its way to the venue."""
    noes: int = 3
    """So often the venue must say that it knows no such order, after all that time, before an order
    counts as lost on its way."""
    pause_max_s: float = 60.0
    """Longest time between two questions about an order whose fate is not known."""
    reconcile_interval_s: float = 60.0
    """How often journal and venue are compared while all is well."""
    dead_man_s: float = 15.0
    """All is cancelled when the order authority, once heard of, is silent for so long."""
    keep_days: int = 7
    """So long an order that has ended is kept."""
    keep_orders: int = 20_000
    """So many orders that have ended are kept, if their approvals have ended too."""
    ring_events: int = 10_000
    """Events of an account that are held for readers."""
    price_band_percent: int = 20
    """A limit price this far beyond the best price is refused. 0: any price."""
    paper_accounts: tuple[str, ...] = ()
    """Accounts on paper, each as "venue/account": their orders meet our own market data, and never
    reach the venue. Empty in the world replay: one named "paper" at every venue."""
    paper_balances: tuple[str, ...] = (
        "USDT:100000",
        "USDC:100000",
        "USD:100000",
        "EUR:100000",
        "BTC:1",
        "ETH:10",
    )
    """What a new account on paper has, each as "ASSET:AMOUNT"."""
    paper_fees: tuple[str, ...] = ()
    """What it pays as maker and as taker, as shares of the value, each as "venue:MAKER:TAKER". A
    venue that is not named: as in its usual tier."""
    paper_latency_ms: int = 20
    """Shortest time that an order takes to the venue on paper, and an answer back."""
    paper_jitter_ms: int = 10
    """What comes to that by chance: so much in the median, now and then ten times as much."""
    paper_leverage: int = 10
    """The margin of a derivative on paper is its value by this."""
    paper_seed: int = 0
    """Of the chance in paper_jitter_ms. 0: another one at each start."""

    def __post_init__(self) -> None:
        for name in (
            "place_timeout_s",
            "ask_timeout_s",
            "arrival_s",
            "pause_max_s",
            "reconcile_interval_s",
            "dead_man_s",
        ):
            if not 0.1 <= getattr(self, name) <= 3600:
                raise SettingError(f"orders.{name}", getattr(self, name), "0.1 to 3600")
        for name in ("noes", "keep_days", "keep_orders", "ring_events"):
            if getattr(self, name) < 1:
                raise SettingError(f"orders.{name}", getattr(self, name), "at least 1")
        if not 0 <= self.price_band_percent <= 100:
            raise SettingError("orders.price_band_percent", self.price_band_percent, "0 to 100")
        for name in (*self.accounts, *self.withdraw_allowed, *self.paper_accounts):
            venue, slash, account = name.partition("/")
            if not (venue and slash and account) or "/" in account or account.startswith("."):
                raise SettingError("orders.accounts", name, 'must be "venue/account"')
        self._check_paper()

    def accounts_of(self, venue: str) -> list[str]:
        """Names of the accounts at one venue."""
        return _at(venue, self.accounts)

    def paper_accounts_of(self, venue: str) -> list[str]:
        """Names of the accounts on paper at one venue."""
        return _at(venue, self.paper_accounts)

    def may_withdraw(self, venue: str, account: str) -> bool:
        """Whether the account's credentials may have that right."""
        return f"{venue}/{account}" in self.withdraw_allowed

    def _check_paper(self) -> None:
        if not 1 <= self.paper_leverage <= 1000:
            raise SettingError("orders.paper_leverage", self.paper_leverage, "1 to 1000")
        for name in ("paper_latency_ms", "paper_jitter_ms"):
            if not 0 <= getattr(self, name) <= 5000:
                raise SettingError(f"orders.{name}", getattr(self, name), "0 to 5000")
        for name in self.paper_accounts:
            if name in self.accounts:
                raise SettingError("orders.paper_accounts", name, "it is in orders.accounts too")


def _at(venue: str, names: Sequence[str]) -> list[str]:
    parts = (name.split("/") for name in names)
    return [account for at, account in parts if at == venue]
