"""The changes of an account's balances, each with the balance after it."""

from collections.abc import Iterator, Mapping

from kit.accounting.money import amount_of
from kit.simulator.matching.accounts import ExchangeAccount
from kit.simulator.matching.contract import BookingCause, BookingView
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.order import MatchingFill

NUMBERS_OF_ENTRY = 2
"""A fill on spot changes two balances."""


def bookings_of(
    account: ExchangeAccount, books: Mapping[str, InstrumentBook], *, at_settlement: bool
) -> list[BookingView]:
    """Return the remembered changes, oldest first. Balances are computed backwards from those of
    now, so a change that was not booked shows in the oldest one. ``at_settlement``: when profit is
    paid."""
    balances = dict(account.wallet.totals)
    found: list[BookingView] = []
    number = NUMBERS_OF_ENTRY * account.booked_count
    for entry in reversed(account.booked):
        number -= NUMBERS_OF_ENTRY
        fill = None
        cause, symbol = BookingCause.FILL, ""
        if isinstance(entry, MatchingFill):
            symbol = entry.order.ticket.symbol
            fill = books[symbol].fill_view(entry)
            changes = list(_changes(entry, books[symbol], at_settlement=at_settlement))
        else:
            cause, symbol = entry.cause, entry.symbol
            changes = [(entry.asset, entry.amount, 0)]
        for part, (asset, amount, fee) in reversed(list(enumerate(changes))):
            found.append(
                BookingView(
                    number + part,
                    cause,
                    symbol,
                    asset,
                    amount_of(amount),
                    amount_of(fee),
                    amount_of(balances[asset]),
                    entry.time_ns,
                    fill,
                )
            )
            balances[asset] -= amount - fee
    found.reverse()
    return found


def _changes(
    fill: MatchingFill, book: InstrumentBook, *, at_settlement: bool
) -> Iterator[tuple[str, int, int]]:
    """What a fill has changed: assets, amounts and fees in atoms."""
    contract = book.contract
    if not book.is_spot:
        yield contract.settle, 0 if at_settlement else fill.profit, fill.fee
        return
    sign = 1 if fill.order.buys else -1
    size = sign * fill.lots * contract.size_unit_atoms
    value = sign * contract.value(fill.ticks, fill.lots)
    for asset, amount in ((contract.base, size), (contract.quote, -value)):
        yield asset, amount, fill.fee if asset == fill.fee_asset else 0
