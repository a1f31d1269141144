"""What the ledger has booked of accounts, and what the inspector computes itself, as tables have
it at one moment."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.inspector import positions, submissions
from core.inspector.account_reports import AccountKey, state_name
from core.inspector.equity_facts import OWNED
from core.inspector.positions import FILLED, held
from kit.accounting.amounts import ZERO, add, product
from kit.accounting.money import ATOM
from kit.base.database import Connection
from kit.events.subjects import opening_group_id

_BALANCES = (
    "SELECT venue, account, asset, sum(debits - credits) FROM ledger_accounts"
    " WHERE code = ANY (%s) AND account <> '' GROUP BY venue, account, asset"
)
_POSITIONS = (
    "SELECT venue, account, symbol, strategy, size, coalesce(settle, '') <> ''"
    " FROM ledger_positions LEFT JOIN ledger_contracts USING (venue, symbol) WHERE size <> 0"
)
_OPENED = "SELECT group_id FROM ledger_groups WHERE group_id = ANY (%s)"
_RESTS = (
    "SELECT venue, account, symbol, strategy, sum(abs(rest::numeric)) FROM inspector_positions"
    " WHERE rest <> '' GROUP BY venue, account, symbol, strategy"
)
# Of persons. Those of strategies are orders of their positions, too.
_ENTRIES = (
    "SELECT venue, account, client_order_id, symbol FROM inspector_entries"
    " WHERE strategy = '' AND NOT is_final"
)

Holding = tuple[str, str]
"""Symbol and strategy; "": of persons."""


@dataclass(slots=True)
class OwnPosition:
    """What the inspector computes of a strategy's position."""

    size: Decimal = ZERO
    rests: Decimal = ZERO
    """Sum of the residual sizes of positions that have ended, whatever their side."""


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order that the inspector takes for open."""

    symbol: str
    state: str


@dataclass(slots=True)
class AccountBooks:
    """Both sides of one account."""

    is_opened: bool = False
    """Whether the ledger has booked what the account had before. Before that, its balances are not
    known."""
    balances: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[Holding, Decimal] = field(default_factory=dict)
    derivatives: set[str] = field(default_factory=set)
    """The symbols of ``positions`` that are derivatives."""
    own_positions: dict[Holding, OwnPosition] = field(default_factory=dict)
    own_orders: dict[str, OwnOrder] = field(default_factory=dict)
    """By client order id."""


async def read(
    connection: Connection, accounts: Iterable[AccountKey]
) -> dict[AccountKey, AccountBooks]:
    """Both sides of these accounts, and of those where anything is held or open."""
    found: dict[AccountKey, AccountBooks] = {key: AccountBooks() for key in accounts}
    await _add_positions(connection, found)
    await _add_own(connection, found)
    for venue, account, asset, atoms in await _rows(connection, _BALANCES, [OWNED]):
        if (venue, account) in found:
            found[venue, account].balances[asset] = product(atoms, ATOM)
    opened = {opening_group_id(*key): key for key in found}
    for (group_id,) in await _rows(connection, _OPENED, [list(opened)]):
        found[opened[group_id]].is_opened = True
    return found


async def _add_positions(connection: Connection, found: dict[AccountKey, AccountBooks]) -> None:
    for row in await _rows(connection, _POSITIONS):
        venue, account, symbol, strategy, size, is_derivative = row
        books = found.setdefault((venue, account), AccountBooks())
        books.positions[symbol, strategy] = product(size, ATOM)
        if is_derivative:
            books.derivatives.add(symbol)


async def _add_own(connection: Connection, found: dict[AccountKey, AccountBooks]) -> None:
    for venue, account, symbol, strategy, rests in await _rows(connection, _RESTS):
        if (venue, account) in found:
            own = found[venue, account].own_positions
            own.setdefault((symbol, strategy), OwnPosition()).rests = rests
    for position in await positions.all_open(connection):
        books = found.setdefault((position.venue, position.account), AccountBooks())
        orders = await positions.orders_of(connection, position)
        key = position.symbol, position.strategy
        own_position = books.own_positions.setdefault(key, OwnPosition())
        own_position.size = add(own_position.size, held(orders))
        if await submissions.has_pending(connection, position.position_id):
            continue
        for order in orders:
            if order.state < FILLED:
                state = state_name(order.state)
                books.own_orders[order.client_order_id] = OwnOrder(position.symbol, state)
    for venue, account, client_id, symbol in await _rows(connection, _ENTRIES):
        books = found.setdefault((venue, account), AccountBooks())
        books.own_orders.setdefault(client_id, OwnOrder(symbol, "OPEN"))


async def _rows(
    connection: Connection, statement: str, arguments: list[Any] | None = None
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, arguments)).fetchall()
