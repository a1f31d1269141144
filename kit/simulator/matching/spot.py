"""Spot trades: what is locked for an order, and what changes hands."""

from kit.simulator.matching.accounts import Account, Ledger
from kit.simulator.matching.contract import FeeAsset, OrderRejected, RejectCode
from kit.simulator.matching.fees import FeeTable
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.order import Order


class Spot:
    """``Clearing`` of what is exchanged for good."""

    def __init__(self, fees: FeeTable, fee_asset: FeeAsset, ledger: Ledger) -> None:
        self._fees = fees
        self._fee_in_quote = fee_asset is FeeAsset.QUOTE
        self._ledger = ledger

    def admit(self, account: Account, board: InstrumentBook, order: Order, enters: bool) -> None:
        need, asset = self._need(board, order), board.quote if order.buys else board.base
        free = account.total[asset] - account.locked[asset]
        if need - order.locked > free:
            raise OrderRejected(RejectCode.FUNDS)
        if enters and order.buys and not order.ticks:
            bill = sum(board.value(ticks, lots) for ticks, lots in _met(board, order))
            if bill + self._fee_most(bill) > free:
                raise OrderRejected(RejectCode.FUNDS)
        account.locked[asset] += need - order.locked
        order.locked = need

    def release(self, account: Account, board: InstrumentBook, order: Order) -> None:
        account.locked[board.quote if order.buys else board.base] -= order.locked
        order.locked = 0

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
        base, quote, size = board.base, board.quote, lots * board.lot_atoms
        total, buys = account.total, order.buys
        if buys:
            total[base] += size
            total[quote] -= value
        else:
            total[base] -= size
            total[quote] += value
        if with_crowd:
            self._ledger.crowd[base] += -size if buys else size
            self._ledger.crowd[quote] += value if buys else -value
        if not buys:
            paid = size
        elif self._fee_in_quote:
            paid = order.locked - self._need(board, order)
        else:
            paid = order.ticks * lots * board.unit_atoms
        order.locked -= paid
        account.locked[quote if buys else base] -= paid
        in_quote = self._fee_in_quote or not buys
        asset = quote if in_quote else base
        fee = self._fees.fee(value if in_quote else size, account.volume, is_maker)
        total[asset] -= fee
        self._ledger.fees[asset] += fee
        return fee, asset

    def assets(self, board: InstrumentBook) -> tuple[str, ...]:
        return board.base, board.quote

    def _need(self, board: InstrumentBook, order: Order) -> int:
        """What an order holds; nothing where it buys at any price."""
        if not order.buys:
            return order.left * board.lot_atoms
        value = order.ticks * order.left * board.unit_atoms
        return value + self._fees.most(value) if self._fee_in_quote else value

    def _fee_most(self, value: int) -> int:
        return self._fees.most(value) if self._fee_in_quote else 0


def _met(board: InstrumentBook, order: Order) -> list[tuple[int, int]]:
    """What an order would fill with, as (ticks, lots)."""
    left = order.left
    found: list[tuple[int, int]] = []
    for ticks, lots in board.book.offers(order):
        found.append((ticks, min(lots, left)))
        left -= lots
        if left <= 0:
            break
    return found
