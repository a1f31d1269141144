"""Finds the symbols of the accounts file that the venue does not list: their limits hold nothing.

A key that may approve orders at other venues too may have their symbols: those are logged only.
"""

from collections.abc import Callable, Collection, Iterator

from kit.base import telemetry
from kit.base.errors import VenueUnavailable
from kit.base.suggestions import did_you_mean
from kit.execution.account_terms import SYMBOL_TABLES, AccountsContent, KeyTerms, OrderLimits
from kit.execution.approval.keys import ALL_ACCOUNTS

NAMED_MAX = 5

_log = telemetry.logger("orders.limits")

ListSymbols = Callable[[], Collection[str] | None]
"""Returns the symbols of a venue, none before they are known; None where that is not asked."""


class LimitedSymbols:
    """The symbols of the limits at one venue."""

    def __init__(
        self, venue: str, listed: ListSymbols, accounts_of: Callable[[str], Collection[str]]
    ) -> None:
        """``accounts_of`` returns the accounts of a key, as the approvers file has them."""
        self._venue, self._listed, self._accounts_of = venue, listed, accounts_of
        self._seen: set[str] = set()
        """What was listed once is no mistake, and may be delisted since."""
        self._logged: set[tuple[str, str, str]] = set()

    def problem(self, content: AccountsContent, account: str = "") -> str:
        """Return which symbols are not listed, in limits that hold for one account or for all; ""
        if all are, and while the listing is not known."""
        listed = self._listed()
        if not listed:
            return ""
        found = [
            f"limits of {whose} have {symbol!r} in {table}, which {self._venue} does not "
            f"list{did_you_mean(symbol, listed)}"
            for whose, limits in self._limits(content, account)
            for table, symbol in self._unlisted(limits, listed)
        ]
        for key in content.keys:
            if self._is_of_several_venues(key):
                self._log_unlisted(key, listed)
        more = f"; and {len(found) - NAMED_MAX} more" if len(found) > NAMED_MAX else ""
        allowed = "; allowed are symbols as ListInstruments shows them: correct or remove the entry"
        return "; ".join(found[:NAMED_MAX]) + more + allowed if found else ""

    def require_listed(self, content: AccountsContent, account: str) -> str:
        """Return as ``problem``, for one account. Raises VenueUnavailable while its limits have
        symbols and the listing is not known."""
        limits = [one for _, one in self._limits(content, account)]
        if any(getattr(one, table) for one in limits for table in SYMBOL_TABLES):
            listed = self._listed()
            if listed is not None and not listed:
                text = "the instruments are not known yet, with which limits are compared"
                raise VenueUnavailable(text, venue=self._venue, detail=text)
        return self.problem(content, account)

    def _limits(self, content: AccountsContent, account: str) -> Iterator[tuple[str, OrderLimits]]:
        here = f"{self._venue}/"
        for terms in content.accounts:
            name = terms.account
            if name == account or (not account and name.startswith(here)):
                yield f"the account {name}", terms.limits
        for key in content.keys:
            accounts = self._accounts_of(key.key_id)
            is_only_here = bool(accounts) and all(one.startswith(here) for one in accounts)
            if is_only_here and (not account or account in accounts):
                yield f"the key {key.key_id}", key.limits

    def _unlisted(self, limits: OrderLimits, listed: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield each table with each of its symbols that was never listed."""
        for table in SYMBOL_TABLES:
            symbols = getattr(limits, table).keys()
            self._seen |= symbols & set(listed)
            yield from ((table, symbol) for symbol in sorted(symbols - self._seen))

    def _is_of_several_venues(self, key: KeyTerms) -> bool:
        """Whether a key may be used here and elsewhere."""
        venues = {one.partition("/")[0] for one in self._accounts_of(key.key_id)}
        return ALL_ACCOUNTS in venues or (self._venue in venues and len(venues) > 1)

    def _log_unlisted(self, key: KeyTerms, listed: Collection[str]) -> None:
        """Log each symbol of a key that holds nothing here, once."""
        for table, symbol in self._unlisted(key.limits, listed):
            if (key.key_id, table, symbol) not in self._logged:
                self._logged.add((key.key_id, table, symbol))
                extra = {"key_id": key.key_id, "table": table, "symbol": symbol}
                extra["detail"] = f"{self._venue} does not list it{did_you_mean(symbol, listed)}"
                _log.warning("limit holds nothing here", extra=extra)
