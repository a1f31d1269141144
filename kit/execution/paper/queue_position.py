"""How much stands in the book before an order that waits.

An order joins its level at the end: all that is displayed there stands before it. Nobody joins
before it later, so what stands before it only gets less: by trades at its price, and by those who
cancel. Of a cancelled size nobody says where it stood; it counts as having stood behind the order
for as long as that is possible: the order never has less before it than all that is displayed.
"""

from decimal import Decimal

from kit.execution.amounts import ZERO, add, subtract


class QueuePosition:
    """Of one order."""

    __slots__ = ("_cut", "ahead")

    def __init__(self, ahead: Decimal | None) -> None:
        self.ahead = ahead
        """None: its level is not in view, so it is not known."""
        self._cut = ZERO
        """What has vanished before it without a trade that was heard of. The trade may be told
        after the book in which it shows, and must not count twice."""

    def show(self, size: Decimal) -> None:
        """So much is displayed at its price."""
        if self.ahead is None:
            self.ahead = size
        elif size < self.ahead:
            self._cut = add(self._cut, subtract(self.ahead, size))
            self.ahead = size

    def trade(self, size: Decimal, *, is_shown: bool) -> Decimal:
        """So much has been traded at its price. Returns what of it comes to the order.
        ``is_shown``: the book has been told as it was after that trade."""
        if is_shown:
            known = min(size, self._cut)
            self._cut = subtract(self._cut, known)
            size = subtract(size, known)
        if self.ahead is None:
            return ZERO
        passed = min(size, self.ahead)
        self.ahead = subtract(self.ahead, passed)
        return subtract(size, passed)

    def pass_through(self) -> None:
        """A trade behind its price: nobody stands before it any more."""
        self.ahead = self._cut = ZERO
