"""Spot trades: what is locked for an order, and what changes hands."""

from kit.simulator.matching.accounts import Account, Ledger
from kit.simulator.matching.board import Board
from kit.simulator.matching.contract import FINAL, FeeAsset, Refusal, Refused
from kit.simulator.matching.fees import FeeTable
from kit.simulator.matching.order import Order


class Spot:
    """``Clearing`` of what is exchanged for good."""

    def __init__(self, fees: FeeTable, fee_asset: FeeAsset, ledger: Ledger) -> None:
        self._fees = fees
        self._fee_in_quote = fee_asset is FeeAsset.QUOTE
        self._ledger = ledger

    def admit(self, account: Account, board: Board, order: Order, enters: bool) -> None:
        need = self._need(board, order)
        asset = board.quote if order.buys else board.base
        if need - order.locked > account.free(asset):
            raise Refused(Refusal.FUNDS)
        if enters and order.buys and not order.ticks:
            bill = sum(board.value(ticks, lots) for ticks, lots in _met(board, order))
            if bill + self._fee_most(bill) > account.free(asset):
                raise Refused(Refusal.FUNDS)
        account.lock(asset, need - order.locked)
        order.locked = need

    def release(self, account: Account, board: Board, order: Order) -> None:
        need = 0 if order.status in FINAL else self._need(board, order)
        account.lock(board.quote if order.buys else board.base, need - order.locked)
        order.locked = need

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
        base, value = lots * board.lot_atoms, board.value(ticks, lots)
        total, crowd = account.total, self._ledger.crowd
        if order.buys:
            total[board.base] += base
            total[board.quote] -= value
        else:
            total[board.base] -= base
            total[board.quote] += value
            base, value = -base, -value
        if with_crowd:
            crowd[board.base] = crowd.get(board.base, 0) - base
            crowd[board.quote] = crowd.get(board.quote, 0) + value
        if order.locked:
            self.release(account, board, order)
        in_quote = self._fee_in_quote or not order.buys
        asset = board.quote if in_quote else board.base
        fee = self._fees.fee(abs(value) if in_quote else base, account.volume, is_maker)
        total[asset] -= fee
        self._ledger.pay_fee(asset, fee)
        return fee, asset

    def assets(self, board: Board) -> tuple[str, ...]:
        return board.base, board.quote

    def _need(self, board: Board, order: Order) -> int:
        """What an order holds; nothing where it buys at any price."""
        if not order.buys:
            return order.left * board.lot_atoms
        if not order.ticks:
            return 0
        value = board.value(order.ticks, order.left)
        return value + self._fee_most(value)

    def _fee_most(self, value: int) -> int:
        return self._fees.most(value) if self._fee_in_quote else 0


def _met(board: Board, order: Order) -> list[tuple[int, int]]:
    """What an order would fill with, as (ticks, lots)."""
    left = order.left
    found: list[tuple[int, int]] = []
    for ticks, lots in board.book.offers(order):
        found.append((ticks, min(lots, left)))
        left -= lots
        if left <= 0:
            break
    return found
