"""Checks that an account is configured at the venue as its orders need it, before it takes any.

What the venue states of modes, leverage and permissions is compared with the accounts file, and the
venue's clock with ours; the symbols of its limits with those that the venue lists. What the venue
does not state is not checked, and the accounts file cannot demand it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal

from kit.accounting.amounts import plain
from kit.base import telemetry
from kit.base.clock import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from kit.base.errors import VenueUnavailable
from kit.execution.account_configuration import (
    AccountConfiguration,
    ClockOffset,
    SymbolConfiguration,
)
from kit.execution.account_terms import AccountTerms
from kit.execution.context import AccountContext
from kit.execution.contract import ExecutionClient
from kit.execution.venue_calls import answer_of

CLOCK_SKEW_MAX_MS = 1_000
"""Without an entry in the accounts file."""
CLOCK_READINGS_MAX = 3
"""A slow round trip says little about the clock: the venue's time is then asked for again."""
NAMED_MAX = 5
"""Symbols that a text names."""

_log = telemetry.logger("orders.configuration_check")


class ConfigurationCheck:
    """The check of one account."""

    def __init__(
        self,
        client: ExecutionClient,
        context: AccountContext,
        symbols: Callable[[], Collection[str]],
    ) -> None:
        """``symbols``: those with open orders or a position."""
        self.refusal = ""
        """How the account differs from what it must be; empty: it may take orders."""
        self.alarm = ""
        """What is wrong and does not keep the account closed."""
        self._client, self._context, self._symbols = client, context, symbols
        self._found = AccountConfiguration()
        self._has_opened = False

    def refusal_of(self, symbol: str) -> str:
        """Return how the settings of one symbol, in use or not, differed when the venue stated them
        last; "" if they did not."""
        stated = (self._found.symbols or {}).get(symbol)
        if stated is None:
            return ""
        terms, alone = self._context.terms, {symbol: stated}
        differences = margin_mode_differences(self._found, alone, terms)
        return "; ".join((*differences, *leverage_differences(self._found, alone, terms)))

    async def run(self) -> None:
        """Compare once. Raises CredentialsRejected, and VenueUnavailable where something is not
        known: then ``refusal`` and ``alarm`` are as before."""
        terms, symbols = self._context.terms, frozenset(self._symbols())
        skew = await self._clock_skew(terms)
        if skew and not self._has_opened:
            # The venue may reject signed calls for the same reason.
            self._refuse(skew)
            return
        timeout_s = self._context.settings.ask_timeout_s
        found = self._found = await answer_of(self._client.configuration(symbols), timeout_s)
        self._raise_alarm(skew)
        self._refuse("; ".join(self._differences(found, terms, symbols)))
        self._has_opened = self._has_opened or not self.refusal

    async def _clock_skew(self, terms: AccountTerms) -> str:
        """Return how the clocks differ by more than the bound; "" if they do not."""
        bound_ms = terms.clock_skew_max_ms or CLOCK_SKEW_MAX_MS
        try:
            offset = await self._clock_offset(bound_ms * NANOSECONDS_PER_MILLISECOND)
        except VenueUnavailable:
            if self._has_opened:
                return self.alarm
            raise
        if offset is None or not offset.is_beyond(bound_ms * NANOSECONDS_PER_MILLISECOND):
            return ""
        where = "ahead of" if offset.offset_ns > 0 else "behind"
        return (
            f"the venue's clock is {_seconds(abs(offset.offset_ns))} {where} ours, measured to "
            f"{_seconds(offset.uncertainty_ns)}; clock_skew_max_ms allows {bound_ms} ms; "
            "set the clock of this machine, for example by NTP"
        )

    async def _clock_offset(self, bound_ns: int) -> ClockOffset | None:
        timeout_s = self._context.settings.ask_timeout_s
        uncertainty_ns = 0
        for _ in range(CLOCK_READINGS_MAX):
            offset = await answer_of(self._client.clock_offset(), timeout_s)
            if offset is None or offset.uncertainty_ns <= bound_ns:
                return offset
            uncertainty_ns = offset.uncertainty_ns
        text = (
            f"the venue's clock can be measured to {_seconds(uncertainty_ns)} only, as the "
            "answers are slow or coarse; clock_skew_max_ms is less than that"
        )
        raise VenueUnavailable(text, venue=self._context.venue, detail=text)

    def _differences(
        self, found: AccountConfiguration, terms: AccountTerms, symbols: Collection[str]
    ) -> Iterator[str]:
        if self._client.capabilities.has_positions or terms.position_mode is not None:
            yield from position_mode_differences(found, terms)
        in_use = {name: one for name, one in (found.symbols or {}).items() if name in symbols}
        yield from margin_mode_differences(found, in_use, terms)
        yield from leverage_differences(found, in_use, terms)
        yield from self._permission_differences(found)
        yield from found.obstacles
        yield from filter(None, [self._context.unlisted_symbols()])

    def _permission_differences(self, found: AccountConfiguration) -> Iterator[str]:
        if found.may_trade is False:
            yield "the key or the account may not trade; allow trading for it at the venue"
        context = self._context
        may_withdraw = context.settings.may_withdraw(context.venue, context.account)
        if found.excess_permissions and not may_withdraw:
            named = ", ".join(found.excess_permissions)
            yield (
                f"the credentials have rights that are not needed: {named}; take them from the "
                "key, or name the account in orders.withdraw_allowed"
            )

    def _refuse(self, text: str) -> None:
        if text != self.refusal:
            self.refusal = text
            self._log("account configuration", text)

    def _raise_alarm(self, text: str) -> None:
        if bool(text) != bool(self.alarm):
            self._log("venue clock", text)
        self.alarm = text

    def _log(self, what: str, text: str) -> None:
        extra = {"account": self._context.account, "detail": text}
        if text:
            _log.error(f"{what} differs", extra=extra)
        else:
            _log.info(f"{what} as expected", extra=extra)


def position_mode_differences(found: AccountConfiguration, terms: AccountTerms) -> Iterator[str]:
    """Yield how the position mode differs. One-way mode is needed: of a long and a short position
    in one symbol, one would be taken for the whole."""
    if terms.position_mode == "hedge":
        yield (
            "the accounts file says position_mode hedge; only one_way is supported; set one-way "
            "mode at the venue and position_mode in the accounts file to one_way"
        )
    elif found.position_mode == "hedge":
        wanted = "the accounts file says one_way" if terms.position_mode else "one_way is needed"
        yield f"position mode is hedge; {wanted}; set one-way mode at the venue"
    elif found.position_mode is None and terms.position_mode is not None:
        yield _not_stated("position_mode", "one_way")


def margin_mode_differences(
    found: AccountConfiguration, in_use: Mapping[str, SymbolConfiguration], terms: AccountTerms
) -> Iterator[str]:
    """Yield how the margin mode of the account, or of symbols in use, differs."""
    wanted = terms.margin_mode
    if wanted is None:
        return
    modes = {name: one.margin_mode for name, one in in_use.items() if one.margin_mode}
    others = {name: str(mode) for name, mode in modes.items() if mode != wanted}
    what_to_do = f"the accounts file says {wanted}; set it at the venue, or margin_mode in the file"
    if others:
        yield f"margin mode is {_by_symbol(others)}; {what_to_do}"
    elif found.margin_mode not in (None, wanted):
        yield f"margin mode is {found.margin_mode}; {what_to_do}"
    elif found.margin_mode is None and found.symbols is None:
        yield _not_stated("margin_mode", wanted)


def leverage_differences(
    found: AccountConfiguration, in_use: Mapping[str, SymbolConfiguration], terms: AccountTerms
) -> Iterator[str]:
    """Yield which symbols in use have a leverage above the bound."""
    bound = terms.leverage_max
    if bound is None:
        return
    leverages = {name: one.leverage for name, one in in_use.items() if one.leverage is not None}
    above = {name: plain(one) for name, one in leverages.items() if one > bound}
    if above:
        yield (
            f"leverage is {_by_symbol(above)}; the accounts file allows {plain(bound)}; lower it "
            "at the venue, or raise leverage_max in the file"
        )
    elif found.symbols is None:
        yield _not_stated("leverage_max", plain(bound))


def _not_stated(name: str, wanted: str) -> str:
    return (
        f"the accounts file says {name} {wanted}; the venue does not state it, so it cannot be "
        f"checked; remove {name} from the account's entry"
    )


def _by_symbol(values: Mapping[str, str]) -> str:
    named = [f"{value} for {symbol}" for symbol, value in sorted(values.items())]
    more = f" and {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
    return ", ".join(named[:NAMED_MAX]) + more


def _seconds(ns: int) -> str:
    return f"{Decimal(ns) / NANOSECONDS_PER_SECOND:.3f} s"
