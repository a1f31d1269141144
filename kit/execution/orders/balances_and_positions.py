"""The balances and positions of an account, as the venue reported them last.

Fills since the venue's last report are summed up, to tell a change that the fills explain from one
that they do not.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from decimal import Decimal
from operator import itemgetter

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO
from kit.base.clock import Clock
from kit.execution.approval import plain
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.journal.records import BalanceRecord, OrderFill, PositionRecord, Record
from kit.execution.orders.account_state import JournalRecordWriter
from kit.execution.orders.order_messages import balance_message, position_message
from kit.execution.reference_prices import FindInstrument

FILLS_MAX = 1000
"""Fills since the venue's last report; with more of them no difference is found."""


class BalancesAndPositions:
    """The balances and positions of one account."""

    def __init__(
        self, clock: Clock, journal: JournalRecordWriter, instrument: FindInstrument
    ) -> None:
        self._clock = clock
        self._journal = journal
        self._instrument = instrument
        self.balances: dict[str, VenueBalance] = {}
        self.positions: dict[str, VenuePosition] = {}
        self.balances_time_ns = 0
        self.positions_time_ns = 0
        self._fill_amounts: dict[str, list[tuple[int, Decimal]]] = {}
        """By asset or symbol, what each fill since the venue's last report has added, in the order
        of the venue's times: fills are read newest first at some venues."""

    def apply_balance(self, update: VenueBalance) -> bool:
        """Apply a balance. Returns whether it differs from the last one."""
        self.balances_time_ns = self._clock.time_ns()
        self._fill_amounts.pop(update.asset, None)
        if self.balances.get(update.asset) == update:
            return False
        self.balances[update.asset] = update
        self._journal.append(BalanceRecord(update.asset, update.total, update.free))
        return True

    def apply_position(self, update: VenuePosition) -> bool:
        """Apply a position. Returns whether it differs from the last one."""
        self.positions_time_ns = self._clock.time_ns()
        self._fill_amounts.pop(update.symbol, None)
        before = self.positions.get(update.symbol)
        self.positions[update.symbol] = update
        if before is None or before.size != update.size:
            self._journal.append(PositionRecord(update.symbol, update.size))
        return before != update

    def apply_fill(self, fill: OrderFill) -> None:
        """Add up what a fill changes."""
        is_bought = fill.side == types_pb2.SIDE_BUY
        size = fill.size if is_bought else -fill.size
        instrument = self._instrument(fill.symbol)
        if instrument is None or instrument.kind != types_pb2.INSTRUMENT_KIND_SPOT:
            self._add(fill.symbol, size, fill.venue_time_ns)
            return
        value = amounts.product(fill.price, size)
        changes = {instrument.base: size}
        changes[instrument.quote] = amounts.subtract(changes.get(instrument.quote, ZERO), value)
        for asset, amount in fill.fees:
            changes[asset] = amounts.subtract(changes.get(asset, ZERO), amount)
        for asset, amount in changes.items():
            self._add(asset, amount, fill.venue_time_ns)

    def replace_balances(
        self, reported: Iterable[VenueBalance], *, compare: bool
    ) -> Iterator[differences_pb2.Difference]:
        """Take over all balances; an asset that is not among them is zero. Yields a difference for
        each one that the fills do not explain, if ``compare``."""
        self.balances_time_ns = self._clock.time_ns()
        by_asset = {balance.asset: balance for balance in reported}
        for asset in sorted({*by_asset, *self.balances}):
            after = by_asset.get(asset, VenueBalance(asset, ZERO, ZERO))
            before = self.balances.get(asset, VenueBalance(asset, ZERO, ZERO)).total
            if compare and not self._is_explained(asset, before, after.total):
                kind = differences_pb2.DIFFERENCE_KIND_BALANCE
                detail = "a deposit, a withdrawal, or fills that were missed"
                yield _difference(kind, asset, before, after.total, detail)
            self.apply_balance(after)

    def replace_positions(
        self, reported: Iterable[VenuePosition], *, compare: bool
    ) -> Iterator[differences_pb2.Difference]:
        """Take over all positions, as ``replace_balances`` does with balances."""
        self.positions_time_ns = self._clock.time_ns()
        by_symbol = {position.symbol: position for position in reported}
        for symbol in sorted({*by_symbol, *self.positions}):
            after = by_symbol.get(symbol, VenuePosition(symbol, ZERO))
            before = self.positions.get(symbol, VenuePosition(symbol, ZERO)).size
            if compare and not self._is_explained(symbol, before, after.size):
                kind = differences_pb2.DIFFERENCE_KIND_POSITION
                detail = "the fills do not add up to it"
                yield _difference(kind, symbol, before, after.size, detail)
            self.apply_position(after)

    def records(self) -> Iterator[Record]:
        """Yield the records from which ``replay`` restores balances and positions."""
        for balance in list(self.balances.values()):
            yield BalanceRecord(balance.asset, balance.total, balance.free)
        for position in list(self.positions.values()):
            yield PositionRecord(position.symbol, position.size)

    def replay(self, record: BalanceRecord | PositionRecord) -> None:
        """Apply a record of the journal."""
        if isinstance(record, BalanceRecord):
            self._fill_amounts.pop(record.asset, None)
            self.balances[record.asset] = VenueBalance(record.asset, record.total, record.free)
        else:
            self._fill_amounts.pop(record.symbol, None)
            self.positions[record.symbol] = VenuePosition(record.symbol, record.size)

    def balance_messages(self) -> list[orders_pb2.Balance]:
        """Render the balances that are not zero, by asset."""
        return [
            balance_message(balance)
            for _, balance in sorted(self.balances.items())
            if balance.total or balance.free
        ]

    def position_messages(self) -> list[orders_pb2.Position]:
        """Render the positions that are not zero, by symbol."""
        return [
            position_message(position, self._instrument)
            for _, position in sorted(self.positions.items())
            if position.size
        ]

    def _add(self, name: str, amount: Decimal, time_ns: int) -> None:
        fill_amounts = self._fill_amounts.setdefault(name, [])
        if len(fill_amounts) < FILLS_MAX:
            insort(fill_amounts, (time_ns, amount), key=itemgetter(0))

    def _is_explained(self, name: str, before: Decimal, after: Decimal) -> bool:
        """Whether fills lead from one amount to the other. The venue's last report may include the
        first of them, so the last n fills explain it for any n."""
        fill_amounts = self._fill_amounts.get(name, [])
        if len(fill_amounts) >= FILLS_MAX:
            return True
        expected = before
        for amount in reversed([ZERO, *(amount for _, amount in fill_amounts)]):
            if expected == after:
                return True
            expected = amounts.add(expected, amount)
        return expected == after


def _difference(
    kind: "differences_pb2.DifferenceKind.ValueType",
    name: str,
    expected: Decimal,
    found: Decimal,
    detail: str,
) -> differences_pb2.Difference:
    return differences_pb2.Difference(
        kind=kind, symbol=name, expected=plain(expected), found=plain(found), detail=detail
    )
