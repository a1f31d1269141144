"""What must hold once nothing fails any more and the account has settled."""

from decimal import Decimal

from venuemesh.tradeflow.v1 import differences_pb2, orders_pb2

from kit.execution.checks.pre_trade_checks import size_min_of
from kit.execution.groups import group_plan
from kit.execution.order_types import CONDITIONAL, TAKE_PROFITS
from kit.execution.orders import order_states
from kit.execution.request_ids import ATTEMPT_MARK, ATTEMPTS_MAX
from kit.execution.sending.attempts import PASSING, ended_unasked, number_of
from tests.simulation.calls import key_of
from tests.simulation.history import Promise
from tests.simulation.watch import EXIT_ROLES

LEFT_OPEN = differences_pb2.DIFFERENCE_KIND_LEFT_OPEN


class PromiseChecks:
    """Compares the account with the venue and with what callers wanted."""

    def __init__(self, simulation) -> None:
        self._history = simulation.history
        self._venue = simulation.world.venue
        self._trader = simulation.trader
        self._watch = simulation.watch
        self._account = simulation.world.account
        self._index = self._account.state.index
        self._left_open = simulation.left_open

    def check(self):
        """Check all promises about the end."""
        self._check_known()
        for key, truth in self._venue.by_client_id.items():
            self._check_order(self._index.orders.get(key), truth)
        for order in self._index.orders.values():
            self._check_not_at_venue(order)
        self._check_fills()
        self._check_holdings()
        for key, filled in self._watch.ended.items():
            truth = self._venue.by_client_id.get(key)
            if truth is not None and (truth.is_open or truth.now.filled_size > filled):
                self._broke(Promise.CANCELLED, f"{self._name(key)} is {_state(truth.now)}")
        for order in self._index.orders.values():
            if order.type in CONDITIONAL and not order.external and not order.group_id:
                self._check_stop(order)
        for group_id, members in self._index.groups.items():
            self._check_group(group_id, members)
        for order in self._index.orders.values():
            self._check_tried(order)

    def _broke(self, promise, text):
        self._history.broke(promise, text)

    def _name(self, key):
        order = self._index.orders.get(key)
        return order.request_id if order is not None and order.request_id else key

    def _check_known(self):
        for key in self._trader.acknowledged - self._index.orders.keys():
            self._broke(Promise.KNOWN, f"{key} was confirmed and is not known any more")
        for truth in self._venue.open_orders():
            order = truth.now
            found = self._index.find(order.symbol, order.client_order_id, order.venue_order_id)
            if found is None or found.is_final:
                state = "unknown" if found is None else order_states.name_of(found.state)
                self._broke(Promise.KNOWN, f"{_name_of(truth)} is open and {state} here")
        if self._account.state.unmatched:
            self._broke(Promise.KNOWN, f"updates match no order: {self._account.state.unmatched}")

    def _check_order(self, order, truth):
        if order is None:
            return
        if order.held_here:
            self._broke(Promise.AGREEMENT, f"{order.request_id} is held here and at the venue")
        here = order.state, order.filled_size, order.fill_size, order.venue_order_id
        now = truth.now
        there = now.state, now.filled_size, now.filled_size, now.venue_order_id
        has_ended = order.is_final and not truth.is_open
        is_gone = has_ended and not now.filled_size
        # How an order has ended is not always to be found out.
        if has_ended and not self._venue.capabilities.finds_by_client_id:
            here, there = here[1:3], there[1:3]
        if here != there and not (is_gone and self._watch.is_deceived([order.key])):
            text = f"{order.request_id} is {_shown(order)} here and {_shown(truth.now)} there"
            self._broke(Promise.AGREEMENT, text)
        stop_price = now.stop_price if now.stop_price is not None else order.stop_price
        told = now.size, now.price, stop_price
        terms = order.size, order.price, order.stop_price
        if not order.is_final and terms != told:
            text = f"{order.request_id} has the terms {terms} here and {told} there"
            self._broke(Promise.AGREEMENT, text)

    def _check_not_at_venue(self, order):
        if order.cancel_requested and not order.is_final:
            self._broke(Promise.RESOLVED, f"{order.request_id} is not cancelled")
        if order.is_amending:
            self._broke(Promise.RESOLVED, f"{order.request_id} has a pending amendment")
        if order.external or order.key in self._venue.by_client_id:
            return
        if order.fills or not (order.held_here or order.is_final):
            text = f"{order.request_id} is {_state(order)} and not at the venue"
            self._broke(Promise.AGREEMENT, text)

    def _check_fills(self):
        here = {
            (fill.venue_order_id, fill.fill_id): (fill.size, fill.price)
            for fill in self._index.fills.values()
        }
        there = {
            (fill.venue_order_id, fill.fill_id): (fill.size, fill.price)
            for _, fill in self._venue.fills
        }
        if len(here) < len(self._index.fills):
            self._broke(Promise.AGREEMENT, "a fill is counted twice")
        if here != there:
            missing, more = there.keys() - here.keys(), here.keys() - there.keys()
            text = f"fills are missing here: {sorted(missing)}; or there: {sorted(more)}"
            self._broke(Promise.AGREEMENT, text)

    def _check_holdings(self):
        holdings = self._account.balances_and_positions
        if self._venue.is_spot:
            here = {name: one.total for name, one in holdings.balances.items()}
            there = self._venue.totals
        else:
            here = {name: one.size for name, one in holdings.positions.items() if one.size}
            there = {one.symbol: one.size for one in self._venue.positions()}
        if here != there:
            self._broke(Promise.AGREEMENT, f"holdings are {here} here and {there} there")

    def _check_stop(self, order):
        """Check the attempts of a stop that belongs to no group, once for the first of them."""
        if ATTEMPT_MARK in order.request_id or order.key in self._trader.told_rejected:
            # The answer to its caller said so.
            return
        if order.request.reduce_only and not order.was_held_here:
            # The venue may have ended it because its position was closed.
            return
        keys = [order.key, *(key_of(f"{order.request_id}{ATTEMPT_MARK}{n}") for n in range(2, 20))]
        attempts = [self._index.orders[key] for key in keys if key in self._index.orders]
        last = attempts[-1]
        filled = sum(one.filled_size for one in attempts)
        size = wanted_size(attempts)
        if (
            any(not one.is_final for one in attempts)
            or filled >= size
            or self._was_cancelled(attempts)
            or any(one.key in self._left_open for one in attempts)
            or order.key not in self._trader.acknowledged
        ):
            return
        text = f"{last.request_id} is {_state(last)} ({last.detail}), {filled} of {size} filled"
        self._broke(Promise.STOPS, text)

    def _was_cancelled(self, orders):
        all_ns = self._trader.cancelled_all_ns
        return bool(all_ns) or any(one.key in self._trader.cancelled for one in orders)

    def _check_tried(self, order):
        """Check that no exit held here ended with a passing rejection before its last attempt."""
        is_passing = order.state == order_states.REJECTED and order.reject_reason in PASSING
        number = number_of(order)
        following = key_of(
            f"{order.request_id.partition(ATTEMPT_MARK)[0]}{ATTEMPT_MARK}{number + 1}"
        )
        if (
            order.takes_turns
            and is_passing
            and ended_unasked(order)
            and following not in self._index.orders
            and number < ATTEMPTS_MAX
        ):
            text = f"{order.request_id} was rejected for now and is not tried again"
            self._broke(Promise.STOPS, text)

    def _check_group(self, group_id, members):
        instrument = self._venue.instrument
        entry = group_plan.entry_of(members)
        exits = [one for one in members if one.content.group.role in EXIT_ROLES]
        left = group_plan.left_of(members, instrument)
        open_exits = [one.request_id for one in exits if not one.is_final]
        if not left and open_exits and (entry is None or entry.is_final):
            text = f"the group {group_id} is closed, and open are {open_exits}"
            self._broke(Promise.STOPS, text)
        if not left or (entry is not None and not entry.is_final):
            return
        stops = [one for one in exits if one.type in CONDITIONAL - TAKE_PROFITS]
        has_lost_stops = stops and all(map(_ended_unasked, stops))
        # The answer to a caller may have said so: then it is the caller's turn.
        is_told = any(one.key in self._trader.told_rejected for one in stops)
        if (open_exits and (is_told or not has_lost_stops)) or self._was_cancelled(exits):
            return
        if any(one.key in self._left_open for one in exits):
            return
        if exits and all(self._was_refused(one) for one in exits):
            return
        least = max(size_min_of(instrument, one.price or one.stop_price) for one in exits)
        was_placed = any(one.key in self._trader.acknowledged for one in members)
        if left < least or not was_placed:
            return
        states = ", ".join(f"{one.request_id} {_state(one)} ({one.detail})" for one in exits)
        self._broke(Promise.STOPS, f"the group {group_id} has {left} left: {states}")

    def _was_refused(self, order):
        """Whether an order was never sent, and the answer to its caller said so."""
        was_told = order.key in self._trader.told_rejected
        return was_told and order.is_final and not self._watch.was_sent(order.key)


def wanted_size(attempts):
    """The size that all attempts of a stop together are to fill: the first one's, and what
    amendments have changed of the later ones."""
    first, *later = attempts
    return first.size + sum(one.size - Decimal(one.content.size) for one in later)


def left_open(account):
    """The client order ids that were published as left open in this run of the process."""
    return {
        one.difference.client_order_id
        for one in account.executions._events
        if one.HasField("difference") and one.difference.kind == LEFT_OPEN
    }


def _ended_unasked(stop):
    return stop.is_final and stop.state != order_states.FILLED and not stop.cancel_requested


def _state(order):
    return orders_pb2.OrderState.Name(order.state).removeprefix("ORDER_STATE_")


def _shown(order):
    return f"{_state(order)} with {order.filled_size} filled, id {order.venue_order_id!r}"


def _name_of(truth):
    return truth.now.client_order_id or f"external {truth.now.venue_order_id}"
