"""The high-water marks of profit by scope, in PostgreSQL, so that they survive a restart."""

from collections.abc import Mapping
from decimal import Decimal

from kit.accounting.amounts import add, subtract
from kit.base.database import Connection, PendingRead, send

_LOAD = "SELECT scope, highest, profit, valuation FROM inspector_equity_marks ORDER BY scope"
_KEEP = (
    "INSERT INTO inspector_equity_marks VALUES (%s, %s, %s, %s) ON CONFLICT (scope)"
    " DO UPDATE SET (highest, profit, valuation)"
    " = (excluded.highest, excluded.profit, excluded.valuation)"
)
_BEGIN_AGAIN = "UPDATE inspector_equity_marks SET highest = profit WHERE scope = %s"


async def send_load(connection: Connection) -> PendingRead[Mapping[str, Decimal]]:
    """Read the marks by the key of their scope."""
    return await send(
        connection, _LOAD, [], lambda rows: {scope: highest for scope, highest, _, _ in rows}
    )


async def raise_to(connection: Connection, profits: Mapping[str, Decimal], valuation: str) -> None:
    """Take the profits of now. ``valuation``: in which currency, and at which rates."""
    rows = await (await connection.execute(_LOAD)).fetchall()
    known = {scope: (highest, profit, text) for scope, highest, profit, text in rows}
    for scope, profit in profits.items():
        highest, last, text = known.get(scope, (Decimal(0), Decimal(0), valuation))
        if text != valuation:
            # Other rates change the profit, and nothing was won or lost by that.
            highest = add(profit, subtract(highest, last))
        highest = max(highest, profit)
        if known.get(scope) != (highest, profit, valuation):
            await connection.execute(_KEEP, [scope, highest, profit, valuation])


async def begin_again(connection: Connection, scope: str) -> None:
    """The mark of a scope is its profit of now: a person accepts what was lost."""
    await connection.execute(_BEGIN_AGAIN, [scope])
