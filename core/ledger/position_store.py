"""The terms of instruments, the changes of positions and their kept states, in PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.ledger.contracts import ContractTerms, HoldingKey, InstrumentKey
from core.ledger.position_history import START, ChangeKey, KeptState, PositionChange
from core.ledger.profit import OpenPosition
from kit.base.database import Connection
from kit.base.errors import SettingError

_KEEP_METHOD = "UPDATE ledger_head SET cost_method = %s WHERE cost_method = ''"
_METHOD = "SELECT cost_method FROM ledger_head"
_TERMS = (
    "SELECT venue, symbol, base, quote, settle, multiplier FROM ledger_contracts"
    " JOIN unnest(%s::text[], %s::text[]) AS wanted (venue, symbol) USING (venue, symbol)"
)
_KEEP_TERMS = (
    "INSERT INTO ledger_contracts SELECT * FROM unnest(%s::text[], %s::text[], %s::text[],"
    " %s::text[], %s::text[], %s::numeric[]) ON CONFLICT DO NOTHING"
)
_OF = "venue = %s AND account = %s AND symbol = %s"
_KEY = "time_ns, kind, length(change_id), change_id"
_BASE = (
    f"SELECT {_KEY}, state FROM ledger_position_states WHERE {_OF}"
    f" AND ({_KEY}) < (%s, %s, %s, %s)"
    " ORDER BY time_ns DESC, kind DESC, length(change_id) DESC, change_id DESC LIMIT 1"
)
_CHANGES = (
    f"SELECT {_KEY}, event_id, strategy, price, size, base_fee, amount"
    f" FROM ledger_position_changes WHERE {_OF} AND ({_KEY}) > (%s, %s, %s, %s) ORDER BY {_KEY}"
)
_ADD_CHANGES = (
    "INSERT INTO ledger_position_changes SELECT * FROM unnest(%s::text[], %s::text[], %s::text[],"
    " %s::bigint[], %s::smallint[], %s::text[], %s::bytea[], %s::text[], %s::numeric[],"
    " %s::numeric[], %s::numeric[], %s::numeric[])"
)
_DROP_STATES = f"DELETE FROM ledger_position_states WHERE {_OF} AND ({_KEY}) > (%s, %s, %s, %s)"
_ADD_STATES = (
    "INSERT INTO ledger_position_states SELECT * FROM unnest(%s::text[], %s::text[], %s::text[],"
    " %s::bigint[], %s::smallint[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING"
)
_SAVE_POSITIONS = (
    "INSERT INTO ledger_positions SELECT * FROM unnest(%s::text[], %s::text[], %s::text[],"
    " %s::text[], %s::numeric[], %s::numeric[]) ON CONFLICT (venue, account, symbol, strategy)"
    " DO UPDATE SET size = excluded.size, cost = excluded.cost"
)
_POSITIONS = (
    "SELECT venue, account, symbol, strategy, size, cost, base, quote, settle, multiplier"
    " FROM ledger_positions JOIN ledger_contracts USING (venue, symbol)"
    " WHERE %(venue)s IN ('', venue) AND %(account)s IN ('', account)"
    " ORDER BY venue, account, symbol, strategy"
)
END = ChangeKey(2**63 - 1, 0, 0, "")


async def require_cost_method(connection: Connection, cost_method: str) -> None:
    """Keep how profit is computed. Raises SettingError when it was computed otherwise before."""
    await connection.execute(_KEEP_METHOD, [cost_method])
    row = await (await connection.execute(_METHOD)).fetchone()
    if row is not None and row[0] != cost_method:
        allowed = f"must be {row[0]!r}, with which the profit in this ledger was computed"
        raise SettingError("ledger.cost_method", cost_method, allowed)


async def load_terms(
    connection: Connection, instruments: Iterable[InstrumentKey]
) -> dict[InstrumentKey, ContractTerms]:
    """The kept terms of those instruments that have some."""
    rows = await connection.execute(_TERMS, _columns(instruments))
    return {InstrumentKey(*row[:2]): ContractTerms(*row[2:]) async for row in rows}


async def keep_terms(connection: Connection, terms: Mapping[InstrumentKey, ContractTerms]) -> None:
    """Keep the terms of instruments that have none."""
    rows = [(*instrument, *found) for instrument, found in terms.items()]
    await connection.execute(_KEEP_TERMS, _columns(rows))


async def load_changes(
    connection: Connection, holding: HoldingKey, before: ChangeKey = END
) -> tuple[KeptState, list[PositionChange]]:
    """The newest kept state before a change, and all changes after it."""
    row = await (await connection.execute(_BASE, [*holding, *before])).fetchone()
    base = KeptState(ChangeKey(*row[:4]), row[4]) if row else KeptState(START, "")
    rows = await connection.execute(_CHANGES, [*holding, *base.key])
    changes = [
        PositionChange(ChangeKey(*row[:4]), bytes(row[4]), row[5], *map(int, row[6:]))
        async for row in rows
    ]
    return base, changes


async def add_changes(
    connection: Connection, changes: Sequence[tuple[HoldingKey, PositionChange]]
) -> None:
    rows = [
        (
            *holding,
            *(change.key.time_ns, int(change.key.kind), change.key.change_id, change.event_id),
            *(change.strategy, change.price, change.size, change.base_fee, change.amount),
        )
        for holding, change in changes
    ]
    await connection.execute(_ADD_CHANGES, _columns(rows))


async def save_positions(
    connection: Connection, positions: Sequence[tuple[HoldingKey, str, int, int]]
) -> None:
    """Save the positions of strategies: holding, strategy, size and cost."""
    rows = [(*holding, *rest) for holding, *rest in positions]
    await connection.execute(_SAVE_POSITIONS, _columns(rows))


async def load_positions(connection: Connection, venue: str, account: str) -> list[OpenPosition]:
    """The positions of a venue and account, also those that are closed; "": of all."""
    rows = await connection.execute(_POSITIONS, {"venue": venue, "account": account})
    found = []
    async for row in rows:
        contract = ContractTerms(*row[6:]).contract(row[2])
        holding = HoldingKey(*row[:3])
        found.append(OpenPosition(holding, row[3], int(row[4]), int(row[5]), contract))
    return found


async def save_states(
    connection: Connection,
    holding: HoldingKey,
    dropped_after: ChangeKey | None,
    states: Sequence[KeptState],
) -> None:
    """Remove the states after a change, and add others."""
    if dropped_after is not None:
        await connection.execute(_DROP_STATES, [*holding, *dropped_after])
    if states:
        rows = [
            (*holding, one.key.time_ns, int(one.key.kind), one.key.change_id, one.state)
            for one in states
        ]
        await connection.execute(_ADD_STATES, _columns(rows))


def _columns(rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
