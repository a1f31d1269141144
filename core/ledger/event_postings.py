"""Makes groups of postings from events, and the changes of positions."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import executions_pb2

from core.ledger import position_store, posting_rules
from core.ledger.contracts import (
    ContractTerms,
    ContractUnknown,
    HoldingKey,
    InstrumentKey,
    terms_of,
)
from core.ledger.execution_events import Execution, InvalidExecution
from core.ledger.fill_allocation import allocate, split
from core.ledger.openings import Openings, opening_postings
from core.ledger.position_history import FILLS, ChangeKind, PositionChange, PositionHistory
from core.ledger.position_state import Effect
from core.ledger.posting_rules import PaidFee
from core.ledger.postings import Posting, PostingGroup, PostingKind
from kit.accounting.contract import Contract
from kit.accounting.money import atoms_text
from kit.base.database import Connection

HOLDINGS_KEPT_MAX = 1_000
"""Histories of positions that are kept in memory."""

Instruments = Mapping[InstrumentKey, types_pb2.Instrument]


@dataclass(slots=True)
class _Batch:
    """The executions of one transaction."""

    effects: dict[bytes, Sequence[Effect]] = field(default_factory=dict)
    """By event id, one of each change."""
    changes: dict[bytes, Sequence[PositionChange]] = field(default_factory=dict)
    """By event id: one, or the parts of a fill that closes several positions."""
    divided: set[bytes] = field(default_factory=set)
    """Ids of events whose fills close several positions."""
    refused: dict[bytes, InvalidExecution] = field(default_factory=dict)
    """By event id."""


class EventPostings:
    """The positions of all accounts, and the groups that follow from what changes them."""

    def __init__(self, cost_method: str) -> None:
        self._cost_method = cost_method
        self._is_method_kept = False
        self._contracts: dict[InstrumentKey, Contract] = {}
        self._histories: dict[HoldingKey, PositionHistory] = {}
        self._openings = Openings()

    def forget(self) -> None:
        """Read everything again: a transaction was not committed, or another process has booked."""
        self._is_method_kept = False
        self._contracts.clear()
        self._histories.clear()
        self._openings.forget()

    async def groups(
        self, connection: Connection, executions: Sequence[Execution], instruments: Instruments
    ) -> tuple[list[PostingGroup], dict[bytes, InvalidExecution]]:
        """The groups of executions that were not booked before, in the order of these, and by event
        id those that cannot be booked. Stores the changes of positions.

        Raises ContractUnknown, and SettingError for another cost method than that of before.
        """
        if not self._is_method_kept:
            await position_store.require_cost_method(connection, self._cost_method)
            self._is_method_kept = True
        await self._read_contracts(connection, executions, instruments)
        await self._openings.read(connection, executions)
        batch = self._changes(executions)
        await self._apply(connection, executions, batch)
        groups = []
        for execution in executions:
            event_id = execution.event.event_id
            if event_id in batch.divided and event_id not in batch.refused:
                _name_shares(execution.event.order_filled, batch.changes[event_id])
            try:
                if event_id not in batch.refused:
                    groups.append(await self._group(connection, execution, batch))
            except InvalidExecution as refused:
                batch.refused[event_id] = refused
        return groups, batch.refused

    async def _read_contracts(
        self, connection: Connection, executions: Iterable[Execution], instruments: Instruments
    ) -> None:
        wanted = {
            execution.instrument: None
            for execution in executions
            if execution.instrument is not None and execution.instrument not in self._contracts
        }
        if not wanted:
            return
        terms = await position_store.load_terms(connection, wanted)
        new: dict[InstrumentKey, ContractTerms] = {}
        for instrument in wanted.keys() - terms.keys():
            listed = instruments.get(instrument)
            found = terms_of(listed) if listed is not None else None
            if found is None:
                raise ContractUnknown(instrument)
            new[instrument] = found
        if new:
            await position_store.keep_terms(connection, new)
        for instrument, found in (terms | new).items():
            self._contracts[instrument] = found.contract(instrument.symbol)

    def _changes(self, executions: Iterable[Execution]) -> _Batch:
        """Read what executions change in positions."""
        batch = _Batch()
        for execution in executions:
            event_id = execution.event.event_id
            try:
                if execution.instrument is not None:
                    change = execution.change(self._contracts[execution.instrument])
                    if change is not None:
                        batch.changes[event_id] = [change]
                    if execution.is_flatten:
                        batch.divided.add(event_id)
            except InvalidExecution as refused:
                batch.refused[event_id] = refused
        return batch

    async def _apply(
        self, connection: Connection, executions: Iterable[Execution], batch: _Batch
    ) -> None:
        """Apply the changes to the positions, holding by holding."""
        by_holding: dict[HoldingKey, dict[object, PositionChange]] = {}
        for execution in executions:
            for change in batch.changes.get(execution.event.event_id, ()):
                accounts = execution.accounts
                holding = HoldingKey(accounts.venue, accounts.account, accounts.symbol)
                known = by_holding.setdefault(holding, {}).setdefault(change.key, change)
                if known is not change:
                    batch.refused[change.event_id] = _repeated(change)
        added, positions = [], []
        for holding, found in by_holding.items():
            changes = sorted(found.values(), key=lambda change: change.key)
            history = await self._history(connection, holding, changes[0])
            for change in changes:
                if history.find(change.key) is not None:
                    batch.refused[change.event_id] = _repeated(change)
            changes = [one for one in changes if one.event_id not in batch.refused]
            if changes:
                opened_ns = self._openings.time_ns(holding.venue, holding.account)
                changes = _inserted(history, changes, batch, opened_ns)
                added += [(holding, change) for change in changes]
                positions += [(holding, *one) for one in _positions(history, changes)]
                await position_store.save_states(connection, holding, *history.unsaved())
        if added:
            await position_store.add_changes(connection, added)
        if positions:
            await position_store.save_positions(connection, positions)

    async def _history(
        self, connection: Connection, holding: HoldingKey, first: PositionChange
    ) -> PositionHistory:
        """The history of a holding, which reaches a change."""
        history = self._histories.pop(holding, None)
        if history is None or not history.reaches(first.key):
            base, changes = await position_store.load_changes(connection, holding, first.key)
            contract = self._contracts[holding.instrument]
            history = PositionHistory(contract, self._cost_method, base, changes)
        # The one that was used last is the last one.
        self._histories[holding] = history
        if len(self._histories) > HOLDINGS_KEPT_MAX:
            del self._histories[next(iter(self._histories))]
        return history

    async def _group(
        self, connection: Connection, execution: Execution, batch: _Batch
    ) -> PostingGroup:
        """The group of an execution whose changes are applied. Raises InvalidExecution."""
        event = execution.event
        if execution.opens_balances:
            postings = await opening_postings(connection, execution)
            self._openings.add(execution)
        else:
            postings = self._openings.corrected(execution, self._postings(execution, batch))
        return PostingGroup(
            execution.group_id,
            execution.kind,
            execution.time_ns,
            postings,
            event.event_id,
            event.lifecycle_id,
            detail=execution.detail,
        )

    def _postings(self, execution: Execution, batch: _Batch) -> tuple[Posting, ...]:
        event_id, accounts, kind = execution.event.event_id, execution.accounts, execution.kind
        changes = batch.changes.get(event_id)
        if not changes or execution.instrument is None:
            return posting_rules.flow_postings(accounts, kind, *execution.flow())
        contract, effects = self._contracts[execution.instrument], batch.effects[event_id]
        if kind is PostingKind.FILL:
            fees = _shared_fees(execution, contract, changes)
            return tuple(
                posting
                for change, own, effect in zip(changes, fees, effects, strict=True)
                for posting in posting_rules.fill_postings(accounts, contract, change, own, effect)
            )
        amount, effect = changes[0].amount, effects[0]
        if kind is PostingKind.OPENING:
            return posting_rules.opening_postings(accounts, contract, effect)
        if changes[0].key.kind == ChangeKind.FUNDING:
            return posting_rules.funding_postings(accounts, contract, amount, effect)
        return posting_rules.settlement_postings(accounts, contract, amount, effect)


def _shared_fees(
    execution: Execution, contract: Contract, changes: Sequence[PositionChange]
) -> list[list[PaidFee]]:
    """What each of the changes of a fill pays, by asset. A fee in the base asset of spot is part of
    the change itself."""
    shared: list[list[PaidFee]] = [[] for _ in changes]
    for asset, atoms in execution.fees().items():
        if contract.is_spot and asset == contract.base:
            continue
        parts = split(atoms, [change.size for change in changes])
        for own, part in zip(shared, parts, strict=True):
            own.append(PaidFee(asset, part))
    return shared


def _inserted(
    history: PositionHistory,
    changes: Sequence[PositionChange],
    batch: _Batch,
    opened_ns: int,
) -> list[PositionChange]:
    """Put changes into their history. Returns them, with the parts of those that are divided."""
    if not any(change.event_id in batch.divided for change in changes):
        # What is from before the opening changes nothing after it, so its effect is told apart.
        place = bisect_right(changes, opened_ns, key=lambda change: change.key.time_ns)
        for part in (changes[:place], changes[place:]):
            for change, effect in zip(part, history.insert(part) if part else (), strict=True):
                batch.effects[change.event_id] = [effect]
        return list(changes)
    inserted: list[PositionChange] = []
    for change in changes:
        parts = [change]
        if change.event_id in batch.divided:
            parts = allocate(change, history.sizes())
        batch.changes[change.event_id] = parts
        batch.effects[change.event_id] = history.insert(parts)
        inserted += parts
    return inserted


def _name_shares(filled: executions_pb2.OrderFilled, parts: Sequence[PositionChange]) -> None:
    """Say in the event of a fill whose positions it closes."""
    del filled.shares[:]
    for part in parts:
        if part.strategy:
            filled.shares.add(strategy=part.strategy, size=atoms_text(part.size))


def _positions(
    history: PositionHistory, changes: Iterable[PositionChange]
) -> Iterable[tuple[str, int, int]]:
    """The strategies whose positions have changed, with size and cost."""
    traded = {one.strategy for one in changes if one.key.kind in FILLS}
    # A fill of before an opening changes what belongs to no strategy.
    for strategy in sorted(traded | ({""} & history.state.strategies.keys())):
        position = history.state.strategies[strategy].position
        yield strategy, position.size, position.cost


def _repeated(change: PositionChange) -> InvalidExecution:
    text = f"another event has booked {change.key.change_id!r} of {change.key.time_ns}"
    return InvalidExecution("GROUP_ID_REUSED", text)
