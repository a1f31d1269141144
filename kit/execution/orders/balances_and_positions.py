"""The balances and positions of an account, as the venue reported them last.

Fills since the venue's last report are summed up, to tell a change that the fills explain from one
that they do not. Reports and fills arrive in any order: what is held is between the two, where a
fill may also come after the comparison that includes it.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.accounting import amounts
from kit.accounting.amounts import ZERO, plain
from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.journal.records import BalanceRecord, OrderFill, PositionRecord, Record
from kit.execution.orders.account_state import JournalRecordWriter
from kit.execution.orders.order_messages import balance_message, position_message
from kit.execution.prices.reference_prices import FindInstrument

BOOKED_NS = 10 * NANOSECONDS_PER_SECOND
"""A comparison may not include fills that were received less than this before."""
FILLS_MAX = 1000
"""Fills since the venue's last report; with more of them no difference is found."""
CLOCKS_NS = 2 * NANOSECONDS_PER_SECOND
"""How far the venue's clock may be behind ours."""


@dataclass(slots=True)
class _HeldByFills:
    """What is held by the last comparison and the fills since."""

    lowest: Decimal
    highest: Decimal
    compared_time_ns: int

    def add(self, amount: Decimal, fill: OrderFill) -> None:
        """Add a fill. One that the comparison may include already moves only the end that it
        makes wider."""
        is_included = fill.venue_time_ns <= self.compared_time_ns + CLOCKS_NS
        if amount < ZERO or not is_included:
            self.lowest = amounts.add(self.lowest, amount)
        if amount > ZERO or not is_included:
            self.highest = amounts.add(self.highest, amount)


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
        self._by_fills: dict[str, _HeldByFills] = {}
        """By asset or symbol."""
        self._filled_time_ns: dict[str, int] = {}

    def bounds(self, name: str) -> tuple[Decimal, Decimal]:
        """Return the smallest and the largest balance of an asset, or position in a symbol, that is
        possible: the venue's last report may be ahead of the fills, or behind."""
        reported = self._reported(name)
        by_fills = self._by_fills.get(name)
        if by_fills is None:
            return reported, reported
        return min(reported, by_fills.lowest), max(reported, by_fills.highest)

    def apply_balance(self, update: VenueBalance) -> bool:
        """Apply a balance. Returns whether it differs from the last one."""
        self.balances_time_ns = self._clock.time_ns()
        self._fill_amounts.pop(update.asset, None)
        self._held_by_fills(update.asset)
        if self.balances.get(update.asset) == update:
            return False
        self.balances[update.asset] = update
        self._journal.append(BalanceRecord(update.asset, update.total, update.free))
        return True

    def apply_position(self, update: VenuePosition) -> bool:
        """Apply a position. Returns whether it differs from the last one."""
        self.positions_time_ns = self._clock.time_ns()
        self._fill_amounts.pop(update.symbol, None)
        self._held_by_fills(update.symbol)
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
            self._add(fill.symbol, size, fill)
            return
        value = amounts.product(fill.price, size)
        changes = {instrument.base: size}
        changes[instrument.quote] = amounts.subtract(changes.get(instrument.quote, ZERO), value)
        for asset, amount in fill.fees:
            changes[asset] = amounts.subtract(changes.get(asset, ZERO), amount)
        for asset, amount in changes.items():
            self._add(asset, amount, fill)

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
            self._compared(asset)

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
            self._compared(symbol)

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
            self._take_over(record.asset)
        else:
            self._fill_amounts.pop(record.symbol, None)
            self.positions[record.symbol] = VenuePosition(record.symbol, record.size)
            self._take_over(record.symbol)

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

    def _reported(self, name: str) -> Decimal:
        if name in self.positions:
            return self.positions[name].size
        return self.balances[name].total if name in self.balances else ZERO

    def _compared(self, name: str) -> None:
        """Take over what the venue has, unless a fill may not be in it yet."""
        now_ns = self._clock.time_ns()
        if now_ns - self._filled_time_ns.get(name, 0) > BOOKED_NS:
            self._take_over(name)

    def _take_over(self, name: str) -> _HeldByFills:
        reported = self._reported(name)
        found = _HeldByFills(reported, reported, self._clock.time_ns())
        self._by_fills[name] = found
        return found

    def _held_by_fills(self, name: str) -> _HeldByFills:
        return self._by_fills.get(name) or self._take_over(name)

    def _add(self, name: str, amount: Decimal, fill: OrderFill) -> None:
        self._held_by_fills(name).add(amount, fill)
        self._filled_time_ns[name] = fill.received_time_ns
        fill_amounts = self._fill_amounts.setdefault(name, [])
        if len(fill_amounts) < FILLS_MAX:
            insort(fill_amounts, (fill.venue_time_ns, amount), key=itemgetter(0))

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
