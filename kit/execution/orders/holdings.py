"""Balances and positions of an account, as the venue said last, and what fills should have made."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.base.clock import Clock
from kit.execution import amounts
from kit.execution.amounts import ZERO
from kit.execution.approval import plain
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.journal.records import Balanced, Filled, Positioned, Record

FILLS_MAX = 1000
"""Since the venue's last word; with more it is not said what should have been."""


class Holdings:
    """Of one account."""

    def __init__(
        self,
        clock: Clock,
        write: Callable[[Record], None],
        instrument: Callable[[str], types_pb2.Instrument | None],
    ) -> None:
        self._clock = clock
        self._write = write
        self._instrument = instrument
        self.balances: dict[str, VenueBalance] = {}
        self.positions: dict[str, VenuePosition] = {}
        self.balances_time_ns = 0
        self.positions_time_ns = 0
        self._moved: dict[str, list[Decimal]] = {}
        """What fills since the venue's last word have made of an asset or a position."""

    def balance(self, news: VenueBalance) -> bool:
        """Take in a balance. Whether it is another one."""
        self.balances_time_ns = self._clock.time_ns()
        self._moved.pop(news.asset, None)
        if self.balances.get(news.asset) == news:
            return False
        self.balances[news.asset] = news
        self._write(Balanced(news.asset, news.total, news.free))
        return True

    def position(self, news: VenuePosition) -> bool:
        """Take in a position. Whether it is another one."""
        self.positions_time_ns = self._clock.time_ns()
        self._moved.pop(news.symbol, None)
        before = self.positions.get(news.symbol)
        self.positions[news.symbol] = news
        if before is None or before.size != news.size:
            self._write(Positioned(news.symbol, news.size))
        return before != news

    def fill(self, fill: Filled) -> None:
        """Note what a fill makes."""
        is_bought = fill.side == types_pb2.SIDE_BUY
        size = fill.size if is_bought else -fill.size
        instrument = self._instrument(fill.symbol)
        if instrument is None or instrument.kind != types_pb2.INSTRUMENT_KIND_SPOT:
            self._move(fill.symbol, size)
            return
        value = amounts.product(fill.price, size)
        made = {instrument.base: size}
        made[instrument.quote] = amounts.subtract(made.get(instrument.quote, ZERO), value)
        for asset, amount in fill.fees:
            made[asset] = amounts.subtract(made.get(asset, ZERO), amount)
        for asset, amount in made.items():
            self._move(asset, amount)

    def take_balances(
        self, found: Iterable[VenueBalance], *, compare: bool
    ) -> Iterator[differences_pb2.Difference]:
        """Take in all balances; gives those that are not what they should be. One that is not
        named is zero."""
        self.balances_time_ns = self._clock.time_ns()
        named = {balance.asset: balance for balance in found}
        for asset in sorted({*named, *self.balances}):
            now = named.get(asset, VenueBalance(asset, ZERO, ZERO))
            before = self.balances.get(asset, VenueBalance(asset, ZERO, ZERO)).total
            if compare and not self._explains(asset, before, now.total):
                kind = differences_pb2.DIFFERENCE_KIND_BALANCE
                yield _difference(kind, asset, before, now.total, "a deposit, or unheard fills")
            self.balance(now)

    def take_positions(
        self, found: Iterable[VenuePosition], *, compare: bool
    ) -> Iterator[differences_pb2.Difference]:
        """As take_balances, of positions."""
        self.positions_time_ns = self._clock.time_ns()
        named = {position.symbol: position for position in found}
        for symbol in sorted({*named, *self.positions}):
            now = named.get(symbol, VenuePosition(symbol, ZERO))
            before = self.positions.get(symbol, VenuePosition(symbol, ZERO)).size
            if compare and not self._explains(symbol, before, now.size):
                kind = differences_pb2.DIFFERENCE_KIND_POSITION
                yield _difference(kind, symbol, before, now.size, "not what the fills make")
            self.position(now)

    def records(self) -> Iterator[Record]:
        """All of it, for the journal."""
        for balance in self.balances.values():
            yield Balanced(balance.asset, balance.total, balance.free)
        for position in self.positions.values():
            yield Positioned(position.symbol, position.size)

    def replay(self, record: Balanced | Positioned) -> None:
        """Take in a record of the journal."""
        if isinstance(record, Balanced):
            self._moved.pop(record.asset, None)
            self.balances[record.asset] = VenueBalance(record.asset, record.total, record.free)
        else:
            self._moved.pop(record.symbol, None)
            self.positions[record.symbol] = VenuePosition(record.symbol, record.size)

    def balance_messages(self) -> list[orders_pb2.Balance]:
        """Those that are not zero, by asset."""
        return [
            balance_message(balance)
            for _, balance in sorted(self.balances.items())
            if balance.total or balance.free
        ]

    def position_messages(self) -> list[orders_pb2.Position]:
        """Those that are not zero, by symbol."""
        return [
            position_message(position)
            for _, position in sorted(self.positions.items())
            if position.size
        ]

    def _move(self, name: str, amount: Decimal) -> None:
        moved = self._moved.setdefault(name, [])
        if len(moved) < FILLS_MAX:
            moved.append(amount)

    def _explains(self, name: str, before: Decimal, now: Decimal) -> bool:
        """Whether fills make one of the other. The venue's last word may have counted the first of
        them already, so any number of the last ones will do."""
        moved = self._moved.get(name, [])
        if len(moved) >= FILLS_MAX:
            return True
        should = before
        for amount in reversed([ZERO, *moved]):
            if should == now:
                return True
            should = amounts.add(should, amount)
        return should == now


def balance_message(balance: VenueBalance) -> orders_pb2.Balance:
    """As the contract tells it."""
    total, free = plain(balance.total), plain(balance.free)
    return orders_pb2.Balance(asset=balance.asset, total=total, free=free)


def position_message(position: VenuePosition) -> orders_pb2.Position:
    """As the contract tells it."""

    def text(amount: Decimal | None) -> str:
        return plain(amount) if amount is not None else ""

    return orders_pb2.Position(
        symbol=position.symbol,
        size=plain(position.size),
        entry_price=text(position.entry_price),
        unrealized_profit=text(position.unrealized_profit),
        liquidation_price=text(position.liquidation_price),
    )


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
