"""Derivatives: what an account must have for its positions and orders, and what changes hands.

All that is settled in one asset stands behind all positions that are (cross margin). For each
instrument the larger one of two risks counts: that all orders that buy are filled, or all that
sell. Gains that are not realised yet open no new positions, losses hold back their amount.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from kit.simulator.listing import Mark
from kit.simulator.matching.accounts import Account, Ledger
from kit.simulator.matching.contract import (
    MatchingRules,
    OrderRejected,
    PositionView,
    RejectCode,
)
from kit.simulator.matching.fees import FeeTable
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.money import Share, amount
from kit.simulator.matching.order import Order
from kit.simulator.matching.positions import Position

Marks = Callable[[str], Mark | None]


@dataclass(frozen=True, slots=True)
class Price:
    """What an instrument is worth."""

    price: Decimal
    lot: Share
    """Atoms of what settles it, for lots at this price."""


class Margin:
    """``Clearing`` of what is settled in money."""

    def __init__(
        self,
        rules: MatchingRules,
        fees: FeeTable,
        ledger: Ledger,
        boards: dict[str, InstrumentBook],
        marks: Marks,
    ) -> None:
        self.rules = rules
        self._fees = fees
        self._ledger = ledger
        self._boards = boards
        self._marks = marks
        self._initial = Share.of(rules.initial_margin)
        self._maintenance = Share.of(rules.maintenance_margin)
        self._prices: dict[str, tuple[str | int, Price]] = {}
        """The newest by symbol, with the text of the mark, or the ticks, that it was made of."""

    def admit(self, account: Account, board: InstrumentBook, order: Order, enters: bool) -> None:
        if not enters:
            return
        if order.ticket.reduce_only:
            _cut_to_position(account, board, order)
            return
        asset, position = board.settle, account.position(board.symbol)
        before, value = self._need(account, asset), self._value(board, order)
        position.expect(order.buys, value - order.locked)
        after = self._need(account, asset)
        if after > before and after > account.total[asset] - self._fees.most(value):
            position.expect(order.buys, order.locked - value)
            raise OrderRejected(RejectCode.FUNDS)
        order.locked = value
        self._hold(account, asset, after)

    def release(self, account: Account, board: InstrumentBook, order: Order) -> None:
        if order.locked:
            account.position(board.symbol).expect(order.buys, -order.locked)
            order.locked = 0
        self.hold(account, board.settle)

    def hold(self, account: Account, asset: str) -> None:
        """Lock what is needed now."""
        self._hold(account, asset, self._need(account, asset))

    def settle(
        self,
        account: Account,
        board: InstrumentBook,
        order: Order,
        lots: int,
        value: int,
        is_maker: bool,
        with_crowd: bool,
    ) -> tuple[int, str]:
        asset, buys, position = board.settle, order.buys, account.position(board.symbol)
        won = position.trade(board, buys, value, lots)
        if with_crowd:
            self._ledger.crowd[asset] += board.direction * (value if buys else -value)
        fee = self._fees.fee(value, account.volume, is_maker)
        account.total[asset] += won - fee
        self._ledger.fees[asset] += fee
        if order.locked:
            left = self._value(board, order)
            position.expect(buys, left - order.locked)
            order.locked = left
        self.hold(account, asset)
        return fee, asset

    def assets(self, board: InstrumentBook) -> tuple[str, ...]:
        return (board.settle,)

    def price(self, board: InstrumentBook) -> Price:
        """The mark price; the last price where there is none."""
        mark = self._marks(board.symbol)
        made_of: str | int
        if mark is not None and mark.mark_price:
            made_of = mark.mark_price
        else:
            made_of = board.book.last_ticks or board.book.best(True) or 1
        known = self._prices.get(board.symbol)
        if known is not None and known[0] == made_of:
            return known[1]
        price = Decimal(made_of) if isinstance(made_of, str) else board.tick * made_of
        fresh = Price(price, board.worth_at(price))
        self._prices[board.symbol] = made_of, fresh
        return fresh

    def mark(self, board: InstrumentBook) -> Mark | None:
        """What is said of an instrument now."""
        return self._marks(board.symbol)

    def held(self, account: Account, asset: str) -> Iterator[tuple[InstrumentBook, Position]]:
        """The positions that are settled in an asset."""
        for symbol, position in account.positions.items():
            board = self._boards[symbol]
            if position.lots and board.settle == asset:
                yield board, position

    def equity(self, account: Account, asset: str) -> int:
        """What an account would have if all its positions were closed at their marks."""
        gains = [one.gain(board, self.price(board).lot) for board, one in self.held(account, asset)]
        return account.total.get(asset, 0) + sum(gains)

    def maintenance(self, account: Account, asset: str) -> int:
        """Below which its positions are closed by force."""
        return sum(
            self._maintenance.take(abs(one.worth(self.price(board).lot)))
            for board, one in self.held(account, asset)
        )

    def view(self, account: Account, board: InstrumentBook, position: Position) -> PositionView:
        """A position as it is now."""
        now, share = self.price(board), self.rules.maintenance_margin
        gain, worth = position.gain(board, now.lot), abs(position.worth(now.lot))
        other = self.equity(account, board.settle) - gain - self.maintenance(account, board.settle)
        rest = other + self._maintenance.take(worth)
        return PositionView(
            account.name,
            board.symbol,
            board.lot * position.lots,
            position.entry_price(board) if position.lots else Decimal(0),
            now.price,
            amount(gain),
            position.price_for(board, rest, share) if position.lots else None,
            amount(self._initial.take(worth)),
            amount(position.realized),
        )

    def _hold(self, account: Account, asset: str, need: int) -> None:
        account.lock(asset, need - account.margin.get(asset, 0))
        account.margin[asset] = need

    def _need(self, account: Account, asset: str) -> int:
        """Margin of positions and orders, and losses."""
        need = gains = 0
        for symbol, position in account.positions.items():
            board = self._boards[symbol]
            if board.settle == asset:
                lot = self.price(board).lot
                worth = position.worth(lot)
                most = max(abs(worth + position.buying), abs(worth - position.selling))
                need += self._initial.take(most)
                gains += board.direction * (worth - position.cost)
        return need + max(0, -gains)

    def _value(self, board: InstrumentBook, order: Order) -> int:
        """What the rest of an order would move, at its price, or at that of now."""
        if order.ticks:
            return board.value(order.ticks, order.left)
        return self.price(board).lot.take(order.left)


def _cut_to_position(account: Account, board: InstrumentBook, order: Order) -> None:
    """A reduce-only order is not larger than what it reduces. Raises Refused."""
    position = account.positions.get(board.symbol, Position())
    there = -position.lots if order.buys else position.lots
    if there <= 0:
        raise OrderRejected(RejectCode.REDUCE_ONLY)
    if order.left > there:
        _shorten(board, order, order.left - there)


def _shorten(board: InstrumentBook, order: Order, lots: int) -> None:
    """An order is so much smaller from now on."""
    order.lots -= lots
    order.left -= lots
    order.ticket = replace(order.ticket, size=board.size(order.lots))
