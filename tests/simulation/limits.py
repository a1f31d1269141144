"""The limits of the account in one run, and what must hold of them.

What is open and held is counted here by the venue, not by what the process knows of it.
"""

import asyncio
from collections import deque
from decimal import Decimal

from venuemesh.common.v1 import errors_pb2, types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.errors import LimitExceeded
from kit.execution.account_terms import AccountTerms, OrderLimits
from tests.simulation.history import Promise

SYMBOL, BASE, QUOTE = "BTCUSDT", "BTC", "USDT"
ACCOUNT = "fake/main"


class AccountLimits:
    """The accounts file of a run. In most runs it limits nothing."""

    def __init__(self, chance, venue, watch, history) -> None:
        self._venue, self._watch, self._history = venue, watch, history
        self._began_with = venue.totals[BASE] if venue.is_spot else Decimal(0)
        self.limits = _drawn(chance, self._began_with)
        self._account = None
        self._times = deque()
        """When the last orders were taken that the process counts."""

    def account(self, venue, account):
        return AccountTerms(account=ACCOUNT, limits=self.limits)

    def key(self, key_id):
        return OrderLimits()

    def follow(self, account):
        """Watch which orders another run of the process takes."""
        self._account, intend = account, account.submitter.intend
        self._times.clear()

        def taken(verified, **more):
            order = intend(verified, **more)
            self._check(order)
            return order

        account.submitter.intend = taken

    def refused(self, request, error):
        """A call has failed: no reduction may be held back by a limit."""
        if isinstance(error, LimitExceeded) and request.rpc == "PlaceOrder":
            self._check_held_back(request.approved[0].content)

    def answered(self, request, response):
        """The same for the orders of a batch."""
        for number, result in enumerate(response.results if request.rpc == "PlaceOrders" else ()):
            if result.error.reason == errors_pb2.ERROR_REASON_LIMIT_EXCEEDED:
                self._check_held_back(request.approved[number].content)

    def _check_held_back(self, content):
        self._history.counts["limit exceeded"] += 1
        held = self._venue.totals[BASE] if self._venue.is_spot else self._venue.position
        is_known = self._account.reductions.held(SYMBOL) == held
        buys = content.side == types_pb2.SIDE_BUY
        pending = sum(
            one.size - one.filled_size
            for one in self._account.state.index.open.values()
            if one.buys == buys
        )
        closes = (content.reduce_only or self._venue.is_spot) and held and buys == (held < 0)
        if is_known and closes and Decimal(content.size) <= abs(held) - pending:
            text = f"a reduction of {content.size} of {held} is held back by {self.limits}"
            self._history.broke(Promise.REDUCED, text)

    def _check(self, order):
        if order.is_reduction or order.content.group.role == orders_pb2.GROUP_ROLE_EXIT:
            return
        now = asyncio.get_running_loop().time()
        self._times.append(now)
        while self._times[0] <= now - 1:
            self._times.popleft()
        self._compare(order, "orders_per_second_max", len(self._times))
        self._compare(order, "order_size_max", order.size)
        if order.price is not None and order.buys:
            self._compare(order, "order_notional_max", order.size * order.price)
        entries = [one for one in self._account.state.index.open.values() if self._opens(one)]
        if not self._opens(order):
            return
        self._compare(order, "open_orders_max", len(entries))
        if self._watch.lies or any(not key.request.client_order_id for key in self._all()):
            # What the process could not know of, and what it did not place, is not limited.
            return
        position = self._venue.totals[BASE] if self._venue.is_spot else self._venue.position
        held = max(position if order.buys else -position, Decimal(0))
        left = {}
        for one in entries:
            if one.buys == order.buys:
                group = one.group_id or one.key
                left[group] = max(self._left(one), left.get(group, 0))
        self._compare(order, "position_size_max", held + sum(left.values()))

    def _compare(self, order, name, value):
        limit = getattr(self.limits, name)
        if isinstance(limit, dict):
            limit = limit.get(QUOTE if "notional" in name else SYMBOL)
        if limit is not None and value > limit:
            self._history.broke(Promise.LIMITED, f"{order.request_id}: {name} {limit} < {value}")

    def _all(self):
        return self._venue.orders.values()

    def _left(self, order):
        """What may still be filled. What one of several alternatives has filled, no other fills,
        also if the process has not heard of it yet."""
        alternatives = [
            one
            for one in self._account.state.index.orders.values()
            if one.group_id and one.group_id == order.group_id
        ]
        filled = sum(self._filled(one) for one in alternatives or [order] if self._opens(one))
        return max(order.size - filled, 0)

    def _filled(self, order):
        truth = self._venue.by_client_id.get(order.key)
        return truth.now.filled_size if truth is not None else 0

    def _opens(self, order):
        content = order.content
        is_sale = self._venue.is_spot and not order.buys
        is_exit = content.group.role == orders_pb2.GROUP_ROLE_EXIT
        return not (order.external or content.reduce_only or is_exit or is_sale)


def _drawn(chance, held):
    drawn = {
        "position_size_max": {SYMBOL: held + chance.choice((0, 1, 2, 3))},
        "order_size_max": {SYMBOL: Decimal(chance.choice((0, 1, 2, 2)))},
        "order_notional_max": {QUOTE: Decimal(chance.choice((150, 210)))},
        "open_orders_max": chance.choice((0, 1, 3, 5)),
        "orders_per_second_max": chance.choice((1, 2)),
    }
    # A limit that is reached first hides the others.
    shares = dict.fromkeys(drawn, 0.1) | {"position_size_max": 0.4}
    return OrderLimits(**{one: drawn[one] for one in drawn if chance.random() < shares[one]})
