"""Collects the facts for limits by scope, in the transaction of a verdict.

Positions and profits come from the tables of the ledger. The ledger books a fill in the transaction
that stores its event, so every fill that reduces an open entry is also in a position here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.ledger.v1 import postings_pb2

from core.inspector import submissions
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain, product, quotient
from kit.accounting.money import ATOM
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection, Database
from kit.marketdata.clients.best_prices import InstrumentKey
from kit.risk.facts import LOSSES_SECONDS, Exposure, Losses, ReferencePrice, Result, RiskFacts
from kit.risk.scopes import Place

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
DAY_NS = 24 * 60 * MINUTE_NS
LOSSES_NS = int(LOSSES_SECONDS) * NANOSECONDS_PER_SECOND
REALIZED = postings_pb2.ACCOUNT_CODE_REALIZED_PROFIT
RESULTS = [
    REALIZED,
    postings_pb2.ACCOUNT_CODE_FEES,
    postings_pb2.ACCOUNT_CODE_FUNDING_PROFIT,
]
"""Codes of the ledger accounts whose sum is the profit of a day."""

OrderKey = tuple[str, str, str, str]
"""Venue, account, symbol and client order id."""
NO_ORDER = ("", "", "", "")
FindPrice = Callable[[str, str], ReferencePrice | None]
"""Returns the cached best prices of an instrument, or None."""

_TERMS = (
    "coalesce(terms.asset, CASE WHEN settle IN ('', quote, base) THEN quote ELSE settle END, ''),"
    " coalesce(terms.is_inverse, settle <> '' AND settle = base, false),"
    " coalesce(terms.multiplier, contract.multiplier)"
)
_JOIN = (
    " LEFT JOIN inspector_terms AS terms USING (venue, symbol)"
    " LEFT JOIN ledger_contracts AS contract USING (venue, symbol)"
)
_HELD = (
    f"SELECT venue, account, symbol, strategy, size, {_TERMS}"
    f" FROM ledger_positions{_JOIN} WHERE size <> 0"
)
_IS_OPEN = "(NOT is_final OR fills_size < filled_size) AND fills_size < size"
_OPEN = (
    "SELECT venue, account, symbol, strategy, is_buy,"
    " CASE WHEN is_final THEN filled_size ELSE size END - fills_size, price,"
    f" {_TERMS} FROM inspector_entries{_JOIN}"
    f" WHERE {_IS_OPEN} AND (venue, account, symbol, client_order_id) <> (%s, %s, %s, %s)"
)
_OPEN_INSTRUMENTS = (
    "SELECT venue, symbol FROM ledger_positions WHERE size <> 0"
    f" UNION SELECT venue, symbol FROM inspector_entries WHERE {_IS_OPEN}"
)
# The changes of balances since a time. Entries may be late, as in the ledger's own query.
_RESULTS = (
    "SELECT venue, account, strategy, asset, sum(credits - debits"
    " + coalesce(before.balance, 0) + coalesce(late.amount, 0)) FROM ledger_accounts AS booked"
    " LEFT JOIN LATERAL (SELECT balance, number FROM ledger_entries AS entry"
    "  WHERE entry.account_id = booked.account_id AND entry.newest_time_ns < %(since_ns)s"
    "  ORDER BY entry.newest_time_ns DESC, number DESC LIMIT 1) AS before ON true"
    " LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM ledger_entries AS entry"
    "  WHERE entry.account_id = booked.account_id AND entry.time_ns < entry.newest_time_ns"
    "  AND entry.time_ns < %(since_ns)s AND number > coalesce(before.number, 0)) AS late ON true"
    " WHERE code = ANY (%(codes)s) AND booked.newest_time_ns >= %(since_ns)s"
    " GROUP BY venue, account, strategy, asset ORDER BY venue, account, strategy, asset"
)
# All closing fills of one chain are one loss or profit.
_CLOSINGS = (
    "SELECT -sum(amount), max(entry.time_ns) AS last"
    " FROM ledger_accounts AS account JOIN ledger_entries AS entry USING (account_id)"
    " JOIN ledger_groups AS booked USING (group_number)"
    " LEFT JOIN events ON events.event_id = booked.event_id"
    " WHERE code = %(code)s AND strategy = %(strategy)s"
    " AND account.newest_time_ns >= %(since_ns)s AND entry.newest_time_ns >= %(since_ns)s"
    " AND entry.time_ns >= %(since_ns)s"
    " GROUP BY coalesce(nullif(lifecycle_id, ''), convert_to(booked.group_id, 'UTF8'))"
    " ORDER BY last DESC"
)
_KEEP_TERMS = (
    "INSERT INTO inspector_terms AS known VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (venue, symbol) DO UPDATE SET (asset, is_inverse, multiplier)"
    " = (excluded.asset, excluded.is_inverse, excluded.multiplier)"
    " WHERE (known.asset, known.is_inverse, known.multiplier)"
    " IS DISTINCT FROM (excluded.asset, excluded.is_inverse, excluded.multiplier)"
)


@dataclass(slots=True)
class _Amounts:
    """Sums of values for one key; None once one value is unknown."""

    asset: str
    held: Decimal | None = ZERO
    buys: Decimal | None = ZERO
    sells: Decimal | None = ZERO


def no_price(venue: str, symbol: str) -> ReferencePrice | None:
    """A FindPrice that never finds a price."""
    return None


async def gather(
    connection: Connection,
    strategy: str,
    instrument: types_pb2.Instrument | None,
    price: FindPrice,
    now_ns: int,
    amended: OrderKey = NO_ORDER,
) -> RiskFacts:
    """The facts for an entry in an instrument. ``strategy``: whose losses to read; "" if no limit
    needs them. ``amended``: the order that the entry replaces. Without an instrument no entry is
    allowed, so most facts are left out."""
    recent = await submissions.recent_entries(connection, now_ns - MINUTE_NS)
    if instrument is None:
        return RiskFacts(recent=recent)
    await connection.execute(
        _KEEP_TERMS,
        [
            instrument.venue,
            instrument.symbol,
            instruments.notional_asset(instrument),
            instruments.is_inverse(instrument),
            instruments.multiplier(instrument),
        ],
    )
    return RiskFacts(
        exposures=await _exposures(connection, price, amended),
        results=await _results(connection, now_ns - now_ns % DAY_NS),
        recent=recent,
        losses=await _losses(connection, strategy, now_ns - LOSSES_NS) if strategy else None,
        reference=price(instrument.venue, instrument.symbol),
    )


async def open_instruments(database: Database) -> list[InstrumentKey]:
    """The instruments with positions or open entries. Raises StoreUnavailable."""
    async with database.transaction() as connection:
        rows = await (await connection.execute(_OPEN_INSTRUMENTS)).fetchall()
    return [(venue, symbol) for venue, symbol in rows]


async def _exposures(
    connection: Connection, price: FindPrice, amended: OrderKey
) -> tuple[Exposure, ...]:
    found: dict[Place, _Amounts] = {}
    rows = await (await connection.execute(_HELD)).fetchall()
    for venue, account, symbol, strategy, size, asset, is_inverse, multiplier in rows:
        amounts = found.setdefault(Place(venue, account, symbol, strategy), _Amounts(asset))
        middle = _middle(price(venue, symbol))
        size_held = product(size, ATOM)
        amounts.held = _sum(amounts.held, _value(size_held, multiplier, is_inverse, middle))
    rows = await (await connection.execute(_OPEN, amended)).fetchall()
    for venue, account, symbol, strategy, is_buy, size, own, asset, is_inverse, multiplier in rows:
        amounts = found.setdefault(Place(venue, account, symbol, strategy), _Amounts(asset))
        known = [one for one in (own, _middle(price(venue, symbol))) if one is not None]
        value = _value(size, multiplier, is_inverse, max(known, default=None))
        if is_buy:
            amounts.buys = _sum(amounts.buys, value)
        else:
            amounts.sells = _sum(amounts.sells, value)
    return tuple(
        Exposure(
            venue=place.venue,
            account=place.account,
            symbol=place.symbol,
            strategy=place.strategy,
            asset=amounts.asset,
            held=amounts.held,
            buys=amounts.buys,
            sells=amounts.sells,
        )
        for place, amounts in sorted(found.items(), key=lambda item: item[0])
    )


async def _results(connection: Connection, since_ns: int) -> tuple[Result, ...]:
    arguments = {"codes": RESULTS, "since_ns": since_ns}
    rows = await connection.execute(_RESULTS, arguments)
    return tuple(
        Result(
            venue=venue,
            account=account,
            strategy=strategy,
            asset=asset,
            profit=_exact(product(atoms, ATOM)),
        )
        for venue, account, strategy, asset, atoms in await rows.fetchall()
    )


async def _losses(connection: Connection, strategy: str, since_ns: int) -> Losses:
    arguments = {"code": REALIZED, "strategy": strategy, "since_ns": since_ns}
    closings = await (await connection.execute(_CLOSINGS, arguments)).fetchall()
    in_row = 0
    for profit, _ in closings:
        if profit >= ZERO:
            break
        in_row += 1
    return Losses(in_row=in_row, last_time_ns=closings[0][1] if in_row else 0)


def _value(
    size: Decimal, multiplier: Decimal | None, is_inverse: bool, price: Decimal | None
) -> Decimal | None:
    """The value of a size in the notional asset; None if it is unknown."""
    if multiplier is None or (price is None and not is_inverse):
        return None
    value = product(size, multiplier)
    return value if is_inverse or price is None else product(value, price)


def _middle(price: ReferencePrice | None) -> Decimal | None:
    return None if price is None else quotient(add(price.bid, price.ask), Decimal(2))


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else _exact(add(first, second))


def _exact(amount: Decimal) -> Decimal:
    """Without trailing zeros, so that equal amounts are recorded alike."""
    return Decimal(plain(amount))
