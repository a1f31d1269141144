"""Collects the facts for limits by scope, in the transaction of a verdict.

Positions and profits come from the tables of the ledger. The ledger books a fill in the transaction
that stores its event, so every fill that reduces an open entry is also in a position here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from venuemesh.common.v1 import types_pb2

from core.inspector import equity_facts, open_entries, submissions
from core.inspector.equity_facts import REALIZED, RESULTS, FindPrice
from core.inspector.open_entries import NO_ORDER, OrderKey
from kit.accounting import instruments
from kit.accounting.amounts import ZERO, add, plain, product
from kit.accounting.money import ATOM
from kit.base.clock import NANOSECONDS_PER_SECOND
from kit.base.database import Connection, Database, PendingRead, send
from kit.marketdata.clients.best_prices import InstrumentKey
from kit.risk.facts import LOSSES_SECONDS, DayProfit, Exposure, Losses, RiskFacts
from kit.risk.limits import Need
from kit.risk.scopes import PositionKey

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
DAY_NS = 24 * 60 * MINUTE_NS
LOSSES_NS = int(LOSSES_SECONDS) * NANOSECONDS_PER_SECOND
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
_OPEN = (
    "SELECT venue, account, symbol, strategy, is_buy,"
    " CASE WHEN is_final THEN filled_size ELSE size END - fills_size, price,"
    f" {_TERMS} FROM inspector_entries{_JOIN}"
    f" WHERE {open_entries.IS_OPEN}"
    " AND (venue, account, symbol, client_order_id) <> (%s, %s, %s, %s)"
)
_OPEN_INSTRUMENTS = (
    "SELECT venue, symbol FROM ledger_positions WHERE size <> 0"
    f" UNION SELECT venue, symbol FROM inspector_entries WHERE {open_entries.IS_OPEN}"
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
_STRATEGIES = (
    "SELECT DISTINCT strategy FROM ledger_accounts"
    " WHERE code = %s AND strategy <> '' AND newest_time_ns >= %s ORDER BY strategy"
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


@dataclass(frozen=True, slots=True)
class FactsRequest:
    """An entry, and what is needed of it."""

    position_key: PositionKey
    instrument: types_pb2.Instrument | None
    """None: it is not known, and no entry is allowed."""
    now_ns: int
    needs: frozenset[Need] = frozenset()
    amended: OrderKey = NO_ORDER
    """An order whose place it takes."""


async def send_reads(
    connection: Connection, request: FactsRequest, price: FindPrice
) -> PendingRead[RiskFacts]:
    """Read what an entry in an instrument is compared with."""
    position_key, instrument, now_ns = request.position_key, request.instrument, request.now_ns
    if instrument is None:
        recent = await submissions.send_recent_entries(connection, now_ns - MINUTE_NS)

        async def only_recent() -> RiskFacts:
            return RiskFacts(recent=await recent())

        return only_recent
    await _keep_terms(connection, instrument)
    found: dict[str, PendingRead[Any]] = {}
    if Need.LOSSES in request.needs and position_key.strategy:
        # All closings of a day are read for the newest losses, which takes milliseconds.
        found["losses"] = await _send_losses(connection, position_key.strategy, now_ns)
    if Need.ORDERS in request.needs:
        since_ns = now_ns - MINUTE_NS
        key = position_key.venue, position_key.symbol
        found["orders"] = await open_entries.send_in_instrument(
            connection, *key, since_ns, request.amended
        )
    of_mesh = await _send_of_mesh(connection, request.needs, price, now_ns, request.amended)

    async def answer() -> RiskFacts:
        read = {name: await one() for name, one in found.items()}
        reference = price(instrument.venue, instrument.symbol)
        return msgspec.structs.replace(await of_mesh(), reference=reference, **read)

    return answer


async def _keep_terms(connection: Connection, instrument: types_pb2.Instrument) -> None:
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


async def of_mesh(
    connection: Connection, needs: frozenset[Need], price: FindPrice, now_ns: int
) -> RiskFacts:
    """What does not depend on an order."""
    answer = await _send_of_mesh(connection, needs, price, now_ns, NO_ORDER)
    return await answer()


async def _send_of_mesh(
    connection: Connection,
    needs: frozenset[Need],
    price: FindPrice,
    now_ns: int,
    amended: OrderKey,
) -> PendingRead[RiskFacts]:
    day_ns = now_ns - now_ns % DAY_NS
    held = await send(connection, _HELD, [], list)
    opened = await send(connection, _OPEN, amended, list)
    since = {"codes": RESULTS, "since_ns": day_ns}
    found: dict[str, PendingRead[Any]] = {
        "results": await send(connection, _RESULTS, since, _results),
        "recent": await submissions.send_recent_entries(connection, now_ns - MINUTE_NS),
    }
    if Need.DAY in needs:
        found["today"] = await submissions.send_recent_entries(connection, day_ns)
    equity = await equity_facts.send_reads(connection, price) if Need.EQUITY in needs else None

    async def answer() -> RiskFacts:
        exposures = _exposures(await held(), await opened(), price)
        read = {name: await one() for name, one in found.items()}
        if equity is not None:
            read |= await equity()
        return RiskFacts(exposures=exposures, **read)

    return answer


async def open_instruments(database: Database) -> list[InstrumentKey]:
    """The instruments with positions or open entries. Raises StoreUnavailable."""
    async with database.transaction() as connection:
        rows = await (await connection.execute(_OPEN_INSTRUMENTS)).fetchall()
    return [(venue, symbol) for venue, symbol in rows]


def _exposures(
    held: Sequence[Any], opened: Sequence[Any], price: FindPrice
) -> tuple[Exposure, ...]:
    found: dict[PositionKey, _Amounts] = {}
    for venue, account, symbol, strategy, size, asset, is_inverse, multiplier in held:
        amounts = found.setdefault(PositionKey(venue, account, symbol, strategy), _Amounts(asset))
        middle = equity_facts.mark(price, venue, symbol)
        size_held = product(size, ATOM)
        amounts.held = _sum(amounts.held, _value(size_held, multiplier, is_inverse, middle))
    for entry in opened:
        venue, account, symbol, strategy, is_buy, size, own, asset, is_inverse, multiplier = entry
        amounts = found.setdefault(PositionKey(venue, account, symbol, strategy), _Amounts(asset))
        known = [one for one in (own, equity_facts.mark(price, venue, symbol)) if one is not None]
        value = _value(size, multiplier, is_inverse, max(known, default=None))
        if is_buy:
            amounts.buys = _sum(amounts.buys, value)
        else:
            amounts.sells = _sum(amounts.sells, value)
    return tuple(
        Exposure(
            venue=position_key.venue,
            account=position_key.account,
            symbol=position_key.symbol,
            strategy=position_key.strategy,
            asset=amounts.asset,
            held=amounts.held,
            buys=amounts.buys,
            sells=amounts.sells,
        )
        for position_key, amounts in sorted(found.items(), key=lambda item: item[0])
    )


def _results(rows: Sequence[Any]) -> tuple[DayProfit, ...]:
    return tuple(
        DayProfit(
            venue=venue,
            account=account,
            strategy=strategy,
            asset=asset,
            profit=_exact(product(atoms, ATOM)),
        )
        for venue, account, strategy, asset, atoms in rows
    )


async def losses_of_all(connection: Connection, now_ns: int) -> dict[str, Losses]:
    """The newest losses of each strategy."""
    rows = await connection.execute(_STRATEGIES, [REALIZED, now_ns - LOSSES_NS])
    found = {
        strategy: await _send_losses(connection, strategy, now_ns)
        for (strategy,) in await rows.fetchall()
    }
    return {strategy: await one() for strategy, one in found.items()}


async def _send_losses(connection: Connection, strategy: str, now_ns: int) -> PendingRead[Losses]:
    since_ns = now_ns - LOSSES_NS
    arguments = {"code": REALIZED, "strategy": strategy, "since_ns": since_ns}
    return await send(connection, _CLOSINGS, arguments, _losses)


def _losses(closings: Sequence[Any]) -> Losses:
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


def _sum(first: Decimal | None, second: Decimal | None) -> Decimal | None:
    return None if first is None or second is None else _exact(add(first, second))


def _exact(amount: Decimal) -> Decimal:
    """Without trailing zeros, so that equal amounts are recorded alike."""
    return Decimal(plain(amount))
