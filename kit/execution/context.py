"""What all parts of one account share."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from kit.base.clock import Clock
from kit.execution.account_terms import AccountsFile, AccountTerms
from kit.execution.settings import OrdersSettings


@dataclass(frozen=True, slots=True)
class AccountContext:
    """The names of an account, the clock and the settings."""

    venue: str
    account: str
    clock: Clock
    settings: OrdersSettings
    is_paper: bool = False
    boot_id: str = ""
    """Identifies the start of the machine whose monotonic clock ``clock`` is; empty: not known."""
    file_problem: Callable[[], str] = str
    """Returns which file of the orders cannot be read; "" if all can be."""
    unlisted_symbols: Callable[[], str] = str
    """Returns which symbols of its limits the venue does not list; "" if it lists all. Raises
    VenueUnavailable while that is not known."""
    jitter: random.Random | None = None
    """Randomness of retry delays; None: the process's own."""
    accounts_file: AccountsFile | None = None
    """None: there is none, and nothing is limited."""

    @property
    def terms(self) -> AccountTerms:
        """The current entry of the account in the accounts file."""
        if self.accounts_file is None:
            return AccountTerms(account=f"{self.venue}/{self.account}")
        return self.accounts_file.account(self.venue, self.account)
