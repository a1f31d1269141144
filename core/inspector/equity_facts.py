"""Collects balances, positions, profit and high-water marks, in the transaction of a verdict."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from venuemesh.ledger.v1 import postings_pb2

from core.inspector import equity_marks
from kit.accounting.amounts import plain, product
from kit.accounting.money import ATOM
from kit.base.database import Connection, PendingRead, send
from kit.risk.facts import Balance, DayProfit, Holding, ReferencePrice

REALIZED = postings_pb2.ACCOUNT_CODE_REALIZED_PROFIT
RESULTS = [
    REALIZED,
    postings_pb2.ACCOUNT_CODE_FEES,
    postings_pb2.ACCOUNT_CODE_FUNDING_PROFIT,
]
"""Accounts of the ledger that make profit."""
OWNED = [postings_pb2.ACCOUNT_CODE_CASH, postings_pb2.ACCOUNT_CODE_MARGIN]
"""What is reserved is still owned."""
POSITION = postings_pb2.ACCOUNT_CODE_POSITION

FindPrice = Callable[[str, str], ReferencePrice | None]
"""Returns the top of the order book of an instrument, as far as it is known now."""

_HOLDINGS = (
    "SELECT venue, account, symbol, strategy, coalesce(base, ''), coalesce(quote, ''),"
    " coalesce(settle, ''), multiplier, size, cost FROM ledger_positions"
    " LEFT JOIN ledger_contracts USING (venue, symbol) WHERE size <> 0 OR cost <> 0"
    " ORDER BY venue, account, symbol, strategy"
)
# What strategies have realised of a derivative is, for its account, a part of the open position.
_BALANCES = (
    "SELECT venue, account, asset, sum(debits - credits) FROM ledger_accounts"
    " LEFT JOIN ledger_contracts USING (venue, symbol) WHERE code = ANY (%s)"
    " OR (code = %s AND settle <> '' AND asset = settle)"
    " GROUP BY venue, account, asset ORDER BY venue, account, asset"
)
_BOOKED = (
    "SELECT venue, account, strategy, asset, sum(credits - debits) FROM ledger_accounts"
    " WHERE code = ANY (%s) GROUP BY venue, account, strategy, asset"
    " ORDER BY venue, account, strategy, asset"
)


def no_price(venue: str, symbol: str) -> ReferencePrice | None:
    """Where no prices are known."""
    return None


def mark(price: FindPrice, venue: str, symbol: str) -> Decimal | None:
    """The middle of the best bid and ask; None if it is not known."""
    found = price(venue, symbol)
    return None if found is None else found.middle


async def send_reads(connection: Connection, price: FindPrice) -> PendingRead[Mapping[str, Any]]:
    """Read fields of RiskFacts, by name, as the ledger has booked them."""
    holdings = await send(connection, _HOLDINGS, [], lambda rows: _holdings(rows, price))
    balances = await send(connection, _BALANCES, [OWNED, POSITION], _balances)
    booked = await send(connection, _BOOKED, [RESULTS], _booked)
    marks = await equity_marks.send_load(connection)

    async def answer() -> Mapping[str, Any]:
        return {
            "holdings": await holdings(),
            "balances": await balances(),
            "booked": await booked(),
            "marks": await marks(),
        }

    return answer


def _balances(rows: Sequence[Any]) -> tuple[Balance, ...]:
    return tuple(
        Balance(venue=venue, account=account, asset=asset, amount=_amount(atoms))
        for venue, account, asset, atoms in rows
    )


def _booked(rows: Sequence[Any]) -> tuple[DayProfit, ...]:
    return tuple(
        DayProfit(
            venue=venue, account=account, strategy=strategy, asset=asset, profit=_amount(atoms)
        )
        for venue, account, strategy, asset, atoms in rows
    )


def _holdings(rows: Sequence[Any], price: FindPrice) -> tuple[Holding, ...]:
    return tuple(
        Holding(
            venue=venue,
            account=account,
            symbol=symbol,
            strategy=strategy,
            base=base,
            quote=quote,
            settle=settle,
            multiplier=multiplier,
            size=_amount(size),
            cost=_amount(cost),
            mark=mark(price, venue, symbol),
        )
        for venue, account, symbol, strategy, base, quote, settle, multiplier, size, cost in rows
    )


def _amount(atoms: Decimal) -> Decimal:
    """Without trailing zeros, so that equal amounts are recorded alike."""
    return Decimal(plain(product(atoms, ATOM)))
