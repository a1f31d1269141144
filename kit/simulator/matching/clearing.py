"""How what was traded is paid: differently for spot and for derivatives."""

from collections.abc import Sequence
from typing import Protocol

from kit.simulator.matching.accounts import Account
from kit.simulator.matching.instrument_book import InstrumentBook
from kit.simulator.matching.order import Order


class Clearing(Protocol):
    """Of one kind of instrument."""

    def admit(self, account: Account, board: InstrumentBook, order: Order, enters: bool) -> None:
        """Hold what an order needs as it is now. ``enters``: it comes to the book at once, it does
        not wait for a stop price. Raises Refused, and holds nothing more than before."""

    def release(self, account: Account, board: InstrumentBook, order: Order) -> None:
        """Hold only what is still needed."""

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
        """A part of an order was filled for a value, which its ``left`` knows already. Holds only
        what is still needed. Returns the fee and its asset."""

    def assets(self, board: InstrumentBook) -> Sequence[str]:
        """That an order can change."""
