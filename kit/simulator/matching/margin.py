"""Derivatives: what an account must have for its positions and orders, and what changes hands.

All that is settled in one asset stands behind all positions that are (cross margin). For each
instrument the larger one of two risks counts: that all orders that buy are filled, or all that
sell. Gains that are not realised yet open no new positions, losses hold back their amount.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

from kit.simulator.dialect import Mark
from kit.simulator.matching.accounts import Account, Ledger
from kit.simulator.matching.board import Board
from kit.simulator.matching.contract import (
    HouseRules,
    PositionView,
    Refusal,
    Refused,
    Status,
)
from kit.simulator.matching.fees import FeeTable
from kit.simulator.matching.money import EXACT, amount
from kit.simulator.matching.order import Order
from kit.simulator.matching.positions import Position

Marks = Callable[[str], Mark | None]


class Margin:
    """``Clearing`` of what is settled in money."""

    def __init__(
        self,
        rules: HouseRules,
        fees: FeeTable,
        ledger: Ledger,
        boards: dict[str, Board],
        marks: Marks,
    ) -> None:
        self.rules = rules
        self._fees = fees
        self._ledger = ledger
        self._boards = boards
        self._marks = marks

    def admit(self, account: Account, board: Board, order: Order, enters: bool) -> None:
        if not enters:
            return
        if order.ticket.reduce_only:
            _cut_to_position(account, board, order)
            return
        before, after = self._need(account, board.settle), self._need(account, board.settle, order)
        value = board.value_at(self._price_of(board, order), order.left)
        has = account.total.get(board.settle, 0) - self._fees.most(value)
        if after > before and after > has:
            raise Refused(Refusal.FUNDS)
        self._hold(account, board.settle, after)

    def release(self, account: Account, board: Board, order: Order) -> None:
        self.hold(account, board.settle)

    def hold(self, account: Account, asset: str) -> None:
        """Lock what is needed now."""
        self._hold(account, asset, self._need(account, asset))

    def settle(
        self,
        account: Account,
        board: Board,
        order: Order,
        ticks: int,
        lots: int,
        *,
        is_maker: bool,
        with_crowd: bool,
    ) -> tuple[int, str]:
        position = account.positions.setdefault(board.symbol, Position())
        account.add(board.settle, position.trade(board, order.buys, ticks, lots))
        value = board.value(ticks, lots)
        if with_crowd:
            gone = board.direction * (value if order.buys else -value)
            self._ledger.pay_crowd(board.settle, gone)
        fee = self._fees.fee(value, account.volume, is_maker)
        account.add(board.settle, -fee)
        self._ledger.pay_fee(board.settle, fee)
        self.hold(account, board.settle)
        return fee, board.settle

    def assets(self, board: Board) -> tuple[str, ...]:
        return (board.settle,)

    def price(self, board: Board) -> Decimal:
        """The mark price; the last price where there is none."""
        mark = self._marks(board.symbol)
        if mark is not None and mark.mark_price:
            return Decimal(mark.mark_price)
        return board.tick * (board.book.last_ticks or board.book.best(True) or 1)

    def mark(self, board: Board) -> Mark | None:
        """What is said of an instrument now."""
        return self._marks(board.symbol)

    def held(self, account: Account, asset: str) -> Iterator[tuple[Board, Position]]:
        """The positions that are settled in an asset."""
        for symbol, position in account.positions.items():
            board = self._boards[symbol]
            if position.lots and board.settle == asset:
                yield board, position

    def equity(self, account: Account, asset: str) -> int:
        """What an account would have if all its positions were closed at their marks."""
        gains = [one.gain(board, self.price(board)) for board, one in self.held(account, asset)]
        return account.total.get(asset, 0) + sum(gains)

    def maintenance(self, account: Account, asset: str) -> int:
        """Below which its positions are closed by force."""
        share = self.rules.maintenance_margin
        return sum(
            _share(abs(one.worth(board, self.price(board))), share)
            for board, one in self.held(account, asset)
        )

    def view(self, account: Account, board: Board, position: Position) -> PositionView:
        """A position as it is now."""
        price, share = self.price(board), self.rules.maintenance_margin
        gain = position.gain(board, price)
        other = self.equity(account, board.settle) - gain - self.maintenance(account, board.settle)
        rest = other + _share(abs(position.worth(board, price)), share)
        return PositionView(
            account.name,
            board.symbol,
            board.lot * position.lots,
            position.entry_price(board) if position.lots else Decimal(0),
            price,
            amount(gain),
            position.price_for(board, rest, share) if position.lots else None,
            amount(_share(abs(position.worth(board, price)), self.rules.initial_margin)),
            amount(position.realized),
        )

    def _hold(self, account: Account, asset: str, need: int) -> None:
        account.lock(asset, need - account.margin.get(asset, 0))
        account.margin[asset] = need

    def _need(self, account: Account, asset: str, more: Order | None = None) -> int:
        """Margin of positions and orders, with one more or changed, and losses."""
        orders: dict[str, list[Order]] = {}
        for order in [*account.open.values(), *([] if more is None else [more])]:
            changed = more is not None and order is not more and order.number == more.number
            if not changed and order.status is not Status.UNTRIGGERED:
                orders.setdefault(order.ticket.symbol, []).append(order)
        need = gains = 0
        for symbol in sorted(orders.keys() | account.positions.keys()):
            board = self._boards[symbol]
            if board.is_spot or board.settle != asset:
                continue
            position = account.positions.get(symbol, Position())
            price = self.price(board)
            worth, risks = position.worth(board, price), {True: 0, False: 0}
            for order in orders.get(symbol, ()):
                if not order.ticket.reduce_only:
                    value = board.value_at(self._price_of(board, order), order.left)
                    risks[order.buys] += value
            most = max(abs(worth + risks[True]), abs(worth - risks[False]))
            need += _share(most, self.rules.initial_margin)
            gains += position.gain(board, price)
        return need + max(0, -gains)

    def _price_of(self, board: Board, order: Order) -> Decimal:
        return board.tick * order.ticks if order.ticks else self.price(board)


def _cut_to_position(account: Account, board: Board, order: Order) -> None:
    """A reduce-only order is not larger than what it reduces. Raises Refused."""
    position = account.positions.get(board.symbol, Position())
    there = -position.lots if order.buys else position.lots
    if there <= 0:
        raise Refused(Refusal.REDUCE_ONLY)
    if order.left > there:
        _shorten(board, order, order.left - there)


def _shorten(board: Board, order: Order, lots: int) -> None:
    """An order is so much smaller from now on."""
    order.lots -= lots
    order.left -= lots
    order.ticket = replace(order.ticket, size=board.size(order.lots))


def _share(atoms: int, share: Decimal) -> int:
    return int(EXACT.multiply(Decimal(atoms), share))
