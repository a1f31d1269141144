"""The size that is ahead of a resting order at its level.

An order joins its level at the end: the whole displayed size is ahead of it. No order joins ahead
of it later, so the size ahead only decreases, by trades at its price and by cancels. The venue does
not say where a cancelled size was in the queue. It counts as having been behind the order as long
as that is possible, so the size ahead is never more than the displayed size.
"""

from decimal import Decimal

from kit.accounting.amounts import ZERO, add, subtract


class QueuePosition:
    """The queue position of one order."""

    __slots__ = ("_vanished", "ahead")

    def __init__(self, ahead: Decimal | None) -> None:
        self.ahead = ahead
        """None: unknown, because the level is not in view."""
        self._vanished = ZERO
        """Size that has vanished ahead of it without a known trade. The trade may be reported after
        the book that shows it, and must not count twice."""

    def show(self, size: Decimal) -> None:
        """Take in the displayed size at the order's price."""
        if self.ahead is None:
            self.ahead = size
        elif size < self.ahead:
            self._vanished = add(self._vanished, subtract(self.ahead, size))
            self.ahead = size

    def trade(self, size: Decimal, *, is_shown: bool) -> Decimal:
        """Take in a trade at the order's price. Returns the size that reaches the order.
        ``is_shown``: the book has already been reported as it was after the trade."""
        if is_shown:
            known = min(size, self._vanished)
            self._vanished = subtract(self._vanished, known)
            size = subtract(size, known)
        if self.ahead is None:
            return ZERO
        passed = min(size, self.ahead)
        self.ahead = subtract(self.ahead, passed)
        return subtract(size, passed)

    def pass_through(self) -> None:
        """Take in a trade beyond the order's price: nothing is ahead of it any more."""
        self.ahead = self._vanished = ZERO
