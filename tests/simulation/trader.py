"""Callers of TradeFlow: they place, amend and cancel at random, and repeat unanswered calls."""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import (
    batches_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
)

from kit.base.errors import VenuemeshError
from kit.execution.order_types import CONDITIONAL, STOPS, TAKE_PROFITS, is_protective
from kit.execution.orders import order_states
from kit.execution.orders.order_messages import content_message
from kit.execution.request_ids import ATTEMPT_MARK
from kit.execution.service import TradeFlowServicer
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.order_groups import ALTERNATIVE, ENTRY, EXIT, group
from tests.simulation import calls
from tests.simulation.authority import EMERGENCY, FLAWS, TEMPORARY
from tests.simulation.history import Promise

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
LIMIT, MARKET = orders_pb2.ORDER_TYPE_LIMIT, orders_pb2.ORDER_TYPE_MARKET
TRAILING = orders_pb2.ORDER_TYPE_TRAILING_STOP
STOP, PROFIT = orders_pb2.ORDER_TYPE_STOP, orders_pb2.ORDER_TYPE_TAKE_PROFIT
SIZES = ("0.5", "1", "2", "2.001")


class Trader:
    """All callers of one account."""

    def __init__(self, world, authorities, watch, history) -> None:
        self._world = world
        self._random = world.random
        self._market = world.market
        self._authorities = authorities
        self._watch = watch
        self._history = history
        self.requests = []
        self.acknowledged = set()
        """Client order ids of orders that were confirmed to a caller."""
        self.told_rejected = set()
        """Client order ids of orders that the first answer to a caller shows as REJECTED."""
        self.cancelled = set()
        """Client order ids of orders that a caller wanted to cancel."""
        self.cancelled_all_ns = 0
        """When a caller last wanted to cancel all orders, the protective ones too."""
        self._number = 0
        self._actions = (
            (self._place_limit, 5),
            (self._place_market, 3),
            (self._place_stop, 5),
            (self._place_group, 5),
            (self._place_many, 2),
            (self._cancel_many, 1),
            (self._amend, 4),
            (self._cancel, 3),
            (self._cancel_without_approval, 1),
            (self._cancel_all, 0.4),
            (self._place_flawed, 1),
            (self.flatten, 0.4),
            (self._reduce, 2),
            (self._repeat, 2),
        )

    def act(self):
        """Make a random call."""
        actions, weights = zip(*self._actions, strict=True)
        (action,) = self._random.choices(actions, weights)
        action()

    def resend(self):
        """Repeat the calls that have no answer, as their callers do after a restart."""
        for request in self.requests:
            if not request.is_answered and request.tries < 4 and self._random.random() < 0.7:
                self.start(request)

    def start(self, request):
        """Make a call in the current process, if there is one."""
        if not self._world.process.is_dead:
            request.tries += 1
            self._world.leaving.may_leave(self._world.process.start(self._call(request)))

    async def _call(self, request):
        account = self._world.account
        flow = TradeFlowServicer("fake", {"main": account})
        reasons = filter(None, map(self._authorities.why_refused, request.approved))
        why_refused = next(reasons, "")
        index = account.state.index
        is_known = any(key in index.orders for key in request.keys) or any(
            one.request_id in index.by_amendment for one in request.approved
        )
        if request.rpc.startswith("Place") and why_refused and not is_known:
            self._watch.forbidden.update(dict.fromkeys(request.keys, why_refused))
        self._history.note(request.rpc, request.text + (f", {why_refused}" if why_refused else ""))
        try:
            response = await getattr(flow, request.rpc)(request.message, None)
        except VenuemeshError as error:
            self._history.note("error", f"{request.text}: {error.message}")
            request.is_answered = not calls.may_be_repeated(error)
            self._world.accounts_file.refused(request, error)
            return
        except Exception as error:
            self._history.broke(Promise.NO_ERROR, f"{request.rpc} {request.text}: {error!r}")
            raise
        if not request.is_answered and request.has_one_effect:
            self._world.venue.later(calls.REPEATED_S, self.start, request)
        request.is_answered, request.response = True, response
        if why_refused and not is_known and calls.taken(request, response):
            text = f"{request.rpc} {request.text} was accepted: {why_refused}"
            self._history.broke(Promise.APPROVED, text)
        self._answered(request, response)

    def _answered(self, request, response):
        if request.rpc.startswith("Place"):
            shown = calls.shown(response)
            told = {one.client_order_id for one in shown if one.state == order_states.REJECTED}
            self.told_rejected |= told - self.acknowledged
        if request.rpc.startswith("Place") or request.rpc == "AmendOrder":
            for number in calls.taken(request, response):
                self.acknowledged.update(request.keys[number : number + 1])
                self._authorities.accepted(request.approved[number])
        if request.rpc in ("CancelOrder", "CancelOrders"):
            results = getattr(response, "results", (response,))
            for order in [one.order for one in results if one.HasField("order")]:
                self._watch.cancelled(order.request_id)
                self._confirmed(order)
        self._watch.answered(request, response)
        self._world.accounts_file.answered(request, response)
        if request.rpc == "CancelAllOrders":
            for order in response.orders:
                self._confirmed(order)
        order = getattr(response, "order", None)
        became = f": {orders_pb2.OrderState.Name(order.state)} {order.detail}" if order else ""
        self._history.note("answer", f"{request.text}{became}")

    def _confirmed(self, order):
        if order.state == orders_pb2.ORDER_STATE_CANCELLED and order.client_order_id:
            truth = self._world.venue.by_client_id.get(order.client_order_id)
            self._watch.end_confirmed(order.client_order_id, truth)
            self._watch.cancelled(order.request_id)

    def _make(self, rpc, message, text, approved=(), keys=()):
        request = calls.Request(rpc, message, text, approved, keys)
        self.requests.append(request)
        for _ in range(2 if self._random.random() < 0.15 else 1):
            self.start(request)
        return request

    def _name(self, kind):
        self._number += 1
        return f"{kind}{self._number}"

    def _place(self, content, name, key=""):
        approved = self._authorities.approve(content, name, key)
        self._place_approved(approved)

    def _place_approved(self, approved):
        content, name = approved.content, approved.request_id
        keys = [self._watch.placing(content, name)]
        message = trade_flow_pb2.PlaceOrderRequest(approved=approved)
        self._make("PlaceOrder", message, f"{name} {calls.text_of(content)}", [approved], keys)

    def _side(self):
        return self._random.choice((BUY, SELL))

    def _terms(self, side, kind, away=None):
        """The terms of an order of this type that does not execute at once, as a rule."""
        chance, rises = self._random, (side == BUY) is not (kind in TAKE_PROFITS)
        away = away or chance.randint(1, 6)
        terms = {"side": side, "type": kind, "size": chance.choice(SIZES), "price": ""}
        if kind == LIMIT:
            terms["price"] = self._price(away if side == SELL else -away)
        elif kind == TRAILING:
            terms["trailing_offset"] = str(chance.randint(1, 6))
        elif kind in CONDITIONAL:
            terms["stop_price"] = self._price(away if rises else -away)
        if kind in CONDITIONAL - {STOP, PROFIT, TRAILING}:
            terms["price"] = terms["stop_price"]
        return terms

    def _price(self, percent):
        return f"{self._market.price_at(percent):f}"

    def _reduces(self, share=0.5):
        venue = self._world.venue
        may_reduce = venue.capabilities.reduce_only and not venue.is_spot
        return may_reduce and self._random.random() < share

    def _key(self):
        return TEMPORARY if self._random.random() < 0.2 else ""

    def _place_limit(self):
        chance = self._random
        away = chance.choice((-1, 0, 1, 1, 2, 4))
        terms = self._terms(self._side(), LIMIT, away)
        terms["post_only"] = chance.random() < 0.2
        if not terms["post_only"] and chance.random() < 0.2:
            terms["time_in_force"] = chance.choice(
                (
                    orders_pb2.TIME_IN_FORCE_IMMEDIATE_OR_CANCEL,
                    orders_pb2.TIME_IN_FORCE_FILL_OR_KILL,
                )
            )
        self._place(limit_order(**terms), self._name("limit"), self._key())

    def _place_market(self):
        terms = self._terms(self._side(), MARKET)
        content = limit_order(**terms, reduce_only=self._reduces(0.3))
        self._place(content, self._name("market"))

    def _place_stop(self):
        kind = self._random.choice(sorted(CONDITIONAL))
        terms = self._terms(self._side(), kind)
        content = limit_order(**terms, reduce_only=self._reduces())
        self._place(content, self._name("stop"), self._key())

    def _place_group(self):
        name, side = self._name("group"), self._side()
        other = SELL if side == BUY else BUY
        is_oco = self._random.random() < 0.4
        role, size = (ALTERNATIVE if is_oco else EXIT), self._random.choice(SIZES)
        kinds = [self._random.choice((LIMIT, PROFIT)), self._random.choice((*STOPS, TRAILING))]
        kinds = kinds[self._random.choice((0, 0, 0, 1)) * (not is_oco) :]
        contents = [limit_order(**{**self._terms(other, kind), "size": size}) for kind in kinds]
        for content in contents:
            content.group.role = role
        if not is_oco:
            kind = self._random.choice((LIMIT, LIMIT, MARKET))
            away = self._random.choice((-1, 0, 1))
            entry = limit_order(**{**self._terms(side, kind, away), "size": size})
            entry.group.role = ENTRY
            contents.insert(0, entry)
        named = group(*contents, group_id=name)
        approved = [self._authorities.approve(one, key) for key, one in named.items()]
        keys = [self._watch.placing(content, key) for key, content in named.items()]
        message = batches_pb2.PlaceOrderGroupRequest(approved=approved)
        text = f"{name}: {', '.join(map(calls.text_of, contents))}"
        self._make("PlaceOrderGroup", message, text, approved, keys)

    def _place_many(self):
        kinds = (*[LIMIT] * 9, *[MARKET] * 3, *sorted(CONDITIONAL))
        kinds = self._random.choices(kinds, k=3)
        contents = {self._name("many"): self._terms(self._side(), kind) for kind in kinds}
        contents = {name: limit_order(**terms) for name, terms in contents.items()}
        approved = [self._authorities.approve(one, name) for name, one in contents.items()]
        keys = [self._watch.placing(content, name) for name, content in contents.items()]
        text = ", ".join(f"{name} {calls.text_of(content)}" for name, content in contents.items())
        self._make("PlaceOrders", calls.place_many(approved), text, approved, keys)

    def _cancel_many(self):
        orders = {one.key: one for one in (self._open_order() for _ in range(3)) if one}
        self.cancelled.update(orders)
        cancels = [
            (key, self._approved_cancel(one) if one.is_protective else None)
            for key, one in orders.items()
        ]
        if cancels:
            text = ", ".join(one.request_id for one in orders.values())
            self._make("CancelOrders", calls.cancel_many(cancels), text)

    def _place_flawed(self):
        name, flaw = self._name("flawed"), self._random.choice((*FLAWS, "old epoch", "reduce"))
        content = limit_order(**self._terms(self._side(), LIMIT))
        if flaw == "reduce":
            self._place(content, name, EMERGENCY)
        elif flaw == "old epoch":
            epoch = max(self._authorities.epoch - 1, 1)
            self._place_approved(self._authorities.approve(content, name, epoch=epoch))
        else:
            self._place_approved(self._authorities.flawed(flaw, content, name))

    def _reduce(self):
        """Reduce the position with the key for emergencies."""
        position = self._world.venue.position
        if not position:
            return self._place_market()
        side = SELL if position > 0 else BUY
        kind = self._random.choice((LIMIT, MARKET))
        terms = self._terms(side, kind, self._random.choice((-1, 1)))
        terms["size"] = f"{min(abs(position), Decimal(terms['size'])):f}"
        content = limit_order(**terms, reduce_only=True)
        return self._place(content, self._name("reduce"), EMERGENCY)

    def flatten(self, name=""):
        """Flatten the position, or go on with a request of that name. Returns the request."""
        name = name or self._name("flatten")
        content = orders_pb2.OrderContent(venue="fake", account="main", symbol="BTCUSDT")
        approved = self._authorities.approve(content, name, operation=signed_pb2.OPERATION_FLATTEN)
        self._watch.flattening(name)
        self.cancelled_all_ns = self._world.clock.actual_ns()
        message = flatten_pb2.FlattenRequest(
            venue="fake", account="main", symbol="BTCUSDT", approved=approved
        )
        return self._make("Flatten", message, name, [approved])

    def _open_order(self, *, prefers_attempts=False):
        open_orders = [
            order for order in self._world.account.state.index.open.values() if not order.external
        ]
        attempts = [one for one in open_orders if ATTEMPT_MARK in one.request_id]
        if prefers_attempts and attempts:
            open_orders = attempts
        return self._random.choice(open_orders) if open_orders else None

    def _amend(self):
        order = self._open_order()
        if order is None:
            return
        content = content_message(order)
        field_names = [
            name for name in ("price", "stop_price", "trailing_offset") if getattr(content, name)
        ]
        for name in field_names:
            amount = Decimal(getattr(content, name))
            steps = self._random.choice((-2, -1, 1, 2))
            setattr(content, name, f"{max(amount + steps * Decimal('0.5'), Decimal('0.5')):f}")
        if not order.group_id:
            content.size = self._random.choice(SIZES)
        name = self._name("amend")
        approved = self._authorities.approve(
            content,
            name,
            operation=signed_pb2.OPERATION_AMEND,
            target_client_order_id=order.key,
        )
        self._watch.allow_size(order.request_id, content.size)
        message = trade_flow_pb2.AmendOrderRequest(
            venue="fake", account="main", client_order_id=order.key, approved=approved
        )
        text = f"{order.request_id} to {calls.text_of(content)}"
        self._make("AmendOrder", message, text, [approved])

    def _cancel(self):
        order = self._open_order(prefers_attempts=True)
        if order is None:
            return
        attempts = self._world.account.retries.attempts(order)
        named, target = self._random.choice(attempts), self._random.choice(attempts)
        approved = self._approved_cancel(target) if order.is_protective else None
        self.cancelled.add(order.key)
        message = trade_flow_pb2.CancelOrderRequest(
            venue="fake", account="main", client_order_id=named.key, approved=approved
        )
        self._make("CancelOrder", message, named.request_id)

    def _approved_cancel(self, order):
        content = orders_pb2.OrderContent(venue="fake", account="main", symbol=order.symbol)
        return self._authorities.approve(
            content,
            self._name("cancel"),
            self._random.choice(("", "", EMERGENCY)),
            operation=signed_pb2.OPERATION_CANCEL,
            target_client_order_id=order.key,
        )

    def _cancel_without_approval(self):
        order = self._open_order()
        if order is None or not is_protective(order.content):
            return
        self._world.process.start(self._try_to_cancel(order))

    async def _try_to_cancel(self, order):
        flow = TradeFlowServicer("fake", {"main": self._world.account})
        message = trade_flow_pb2.CancelOrderRequest(
            venue="fake", account="main", client_order_id=order.key
        )
        was_open = order.state not in order_states.FINAL
        self._history.note("CancelOrder", f"{order.request_id} without approval")
        try:
            await flow.CancelOrder(message, None)
        except VenuemeshError as error:
            self._history.note("error", error.message)
        else:
            if was_open:
                text = f"{order.request_id} was cancelled without an approval"
                self._history.broke(Promise.APPROVED, text)

    def _cancel_all(self):
        approved = None
        if self._random.random() < 0.5:
            content = orders_pb2.OrderContent(venue="fake", account="main")
            approved = self._authorities.approve(
                content, self._name("cancel"), operation=signed_pb2.OPERATION_CANCEL_ALL
            )
            self.cancelled_all_ns = self._world.clock.actual_ns()
        message = trade_flow_pb2.CancelAllOrdersRequest(
            venue="fake", account="main", approved=approved
        )
        self._make("CancelAllOrders", message, "with approval" if approved else "")

    def _repeat(self):
        """Repeat a call that was made before, answered or not."""
        if self.requests:
            self.start(self._random.choice(self.requests))
