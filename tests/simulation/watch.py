"""Watches each request to the venue and each change there, and sees what must never happen."""

from collections import Counter
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from kit.execution.client_order_ids import client_order_id
from kit.execution.orders import order_states
from kit.execution.request_ids import ATTEMPT_MARK, CLOSE_MARK
from tests.simulation.history import Promise

EXIT_ROLES = (orders_pb2.GROUP_ROLE_EXIT, orders_pb2.GROUP_ROLE_ALTERNATIVE)


class Watch:
    """Watches one account over all runs of its process."""

    def __init__(self, history) -> None:
        self._history = history
        self._sends = Counter()
        self.approved = {}
        """OrderContent by client order id: what was placed."""
        self._names = {}
        """Request ids by client order id."""
        self._sizes = {}
        """By request id, the largest size that was approved."""
        self.forbidden = {}
        """By client order id, why an order must not be sent."""
        self.ended = {}
        """By client order id, the filled size of orders whose end was confirmed to a caller."""
        self.ended_with_attempts = set()
        """Request ids of orders of which no attempt follows, as a caller was told."""
        self._answers = {}
        """By message, the orders in the first answer to a request that has its effect once."""
        self._flattens = set()
        """Request ids."""
        self._closed_by = {}
        """By client order id of an order that flattens, its filled size."""
        self.on_release = None
        """Called when an order is sent that was held here."""
        self._venue = None
        self._index = None
        self.lies = set()
        """Client order ids of orders that the venue rejected in its answer and has."""

    def follow(self, venue):
        """Watch what changes at the venue."""
        self._venue = venue
        venue.changed.append(self._changed)

    def use(self, index):
        """Watch the orders of another run of the process."""
        self._index = index

    def placing(self, content, request_id):
        """Note an order that a caller places."""
        key = client_order_id("fake", "main", request_id)
        self.approved[key] = content
        self._names[key] = request_id
        self.allow_size(request_id, content.size)
        return key

    def flattening(self, request_id):
        """Note a request to flatten the account."""
        self._flattens.add(request_id)

    def allow_size(self, request_id, size):
        """Note a size that was approved for an order or for an amendment of it."""
        first = request_id.partition(ATTEMPT_MARK)[0]
        self._sizes[first] = max(Decimal(size), self._sizes.get(first, Decimal(0)))

    def sent(self, request):
        """The process sends an order."""
        key = request.client_order_id
        self._sends[key] += 1
        order = self._index.orders.get(key)
        if order is not None:
            self._names[key] = order.request_id
        if order is not None and order.was_held_here:
            self.on_release()
        name = self._names.get(key, key)
        if self._sends[key] > 1:
            self._history.broke(Promise.SENT_ONCE, name)
        first = client_order_id("fake", "main", name.partition(ATTEMPT_MARK)[0])
        is_close = name.partition(CLOSE_MARK)[0] in self._flattens
        if order is None or (first not in self.approved and not is_close):
            self._history.broke(Promise.APPROVED, f"{name} was never placed, and is sent")
        if first in self.forbidden:
            self._history.broke(Promise.APPROVED, f"{name} is sent: {self.forbidden[first]}")
        if key in self.ended or name.partition(ATTEMPT_MARK)[0] in self.ended_with_attempts:
            self._history.broke(Promise.CANCELLED, f"{name} is sent")

    def was_sent(self, key):
        """Whether an order was sent in any run of the process."""
        return self._sends[key] > 0

    def name_of(self, request):
        """The request id of an order that a call names, for the history."""
        key = getattr(request, "client_order_id", "")
        more = ""
        if hasattr(request, "type"):
            kind = orders_pb2.OrderType.Name(request.type).removeprefix("ORDER_TYPE_")
            side = types_pb2.Side.Name(request.side).removeprefix("SIDE_")
            more = f" {side} {kind} {request.size} at {request.price or request.stop_price or '-'}"
        return f"{self._names.get(key, key)}{more}"

    def is_entry(self, request):
        """Whether an order that is sent limits no loss."""
        order = self._index.orders.get(request.client_order_id)
        return order is not None and not order.is_protective and not order.takes_turns

    def end_confirmed(self, key, truth):
        """Note that a caller was told that an order has ended."""
        filled = truth.now.filled_size if truth is not None else Decimal(0)
        self.ended.setdefault(key, filled)
        if truth is not None and truth.is_open:
            self._history.broke(Promise.CANCELLED, f"{self._names.get(key, key)} is open")

    def cancelled(self, request_id):
        """Note that a caller was told that an order is cancelled: no attempt of it may follow."""
        self.ended_with_attempts.add(request_id.partition(ATTEMPT_MARK)[0])

    def answered(self, request, response):
        """Note that a request was answered: to end all orders or positions a second time would end
        those that came later. An order of a batch may be taken by a later call for it."""
        is_batch = request.rpc == "PlaceOrders"
        if not request.has_one_effect or is_batch or getattr(response, "under_way", False):
            return
        shown = [response.order] if request.rpc == "PlaceOrder" else response.orders
        orders = {one.client_order_id or one.venue_order_id for one in shown}
        first = self._answers.setdefault(request.message.SerializeToString(), orders)
        if orders != first:
            text = f"{request.rpc} {request.text} has {orders} and had {first}"
            self._history.broke(Promise.ONCE, text)

    def is_deceived(self, members):
        """Whether the venue lied about one of these orders: then nothing about it can be known."""
        return any(key in self.lies for key in members)

    def _changed(self, truth):
        order = truth.now
        key = order.client_order_id
        name = self._names.get(key, key or f"external {order.venue_order_id}")
        state = order_states.name_of(order.state)
        filled = f"{order.filled_size} of {order.size}"
        self._history.note("venue", f"{name}: {state}, {filled} filled")
        if order.filled_size > self.ended.get(key, order.filled_size):
            self._history.broke(Promise.CANCELLED, f"{name} is filled after its end")
        if CLOSE_MARK in name:
            self._check_close(truth, name)
        content = self._content(key)
        if content is None:
            return
        if content.group.role in EXIT_ROLES:
            self._check_group(content.group.group_id)
        elif not content.HasField("group"):
            self._check_attempts(name.partition(ATTEMPT_MARK)[0])

    def _content(self, key):
        first = self._names.get(key, "").partition(ATTEMPT_MARK)[0]
        return self.approved.get(client_order_id("fake", "main", first)) if first else None

    def _check_group(self, group_id):
        at_venue = [
            (content, truth)
            for key, truth in self._venue.by_client_id.items()
            if (content := self._content(key)) is not None and content.group.group_id == group_id
        ]
        exits = [truth for content, truth in at_venue if content.group.role in EXIT_ROLES]
        live = [truth for truth in exits if truth.is_open]
        keys = [truth.now.client_order_id for _, truth in at_venue]
        if self.is_deceived(keys):
            return
        if len(live) > 1:
            names = [self._names[truth.now.client_order_id] for truth in live]
            self._history.broke(Promise.ONE_EXIT, f"{' and '.join(names)} are open")
        opened = self._opened(at_venue)
        closed = sum(truth.now.filled_size for truth in exits)
        if closed > opened:
            text = f"the group {group_id} has closed {closed} of {opened}"
            self._history.broke(Promise.CLOSED, text)

    def _check_close(self, truth, name):
        """Check that an order that flattens has not turned the position."""
        filled = truth.now.filled_size
        done, self._closed_by[name] = filled - self._closed_by.get(name, 0), filled
        position = self._venue.position
        has_turned = position < 0 if not truth.request.buys else position > 0
        if done and has_turned:
            self._history.broke(Promise.CLOSED, f"{name} makes the position {position}")

    def _opened(self, at_venue):
        entries = [truth for content, truth in at_venue if content.group.role not in EXIT_ROLES]
        roles = {content.group.role for content, _ in at_venue}
        if orders_pb2.GROUP_ROLE_ALTERNATIVE in roles:
            return Decimal(at_venue[0][0].size)
        return sum((truth.now.filled_size for truth in entries), Decimal(0))

    def _check_attempts(self, first):
        filled = sum(
            truth.now.filled_size
            for key, truth in self._venue.by_client_id.items()
            if self._names.get(key, "").partition(ATTEMPT_MARK)[0] == first
        )
        if filled > self._sizes.get(first, filled):
            text = f"all attempts of {first} have filled {filled} of {self._sizes[first]}"
            self._history.broke(Promise.CLOSED, text)
