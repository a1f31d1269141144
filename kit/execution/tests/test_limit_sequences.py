"""No sequence of orders, fills, amendments and cancels exceeds a limit, and no reduction is
rejected, in whatever order the venue's updates arrive."""

from collections import deque
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from kit.base.errors import LimitExceeded
from kit.execution.account_terms import AccountsContent, AccountTerms, KeyTerms, OrderLimits
from kit.execution.checks.order_limiter import OrderLimiter
from kit.execution.checks.reductions import Reductions
from kit.execution.context import AccountContext
from kit.execution.contract import Fee, VenueFill, VenueOrder, VenuePosition
from kit.execution.journal.records import Amendment, AmendmentOutcome, OrderIntent
from kit.execution.orders import order_states
from kit.execution.orders.account_state import AccountState
from kit.execution.orders.balances_and_positions import BalancesAndPositions
from kit.execution.prices.reference_prices import ReferenceMarketData
from kit.execution.settings import OrdersSettings
from kit.execution.tests.fake_venue import limit_order
from kit.execution.tests.test_limits import LINEAR

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
SIZE_MAX, OPEN_MAX, KEY_OPEN_MAX, PER_SECOND_MAX = 10, 5, 3, 4
TERMS = AccountsContent(
    accounts=(
        AccountTerms(
            account="fake/main",
            limits=OrderLimits(
                position_size_max={"SWAP": Decimal(SIZE_MAX)},
                order_notional_max={"USDT": Decimal(800)},
                open_orders_max=OPEN_MAX,
                orders_per_second_max=PER_SECOND_MAX,
            ),
        ),
    ),
    keys=(KeyTerms(key_id="b", limits=OrderLimits(open_orders_max=KEY_OPEN_MAX)),),
)


class Terms:
    """The accounts file."""

    def account(self, venue, account):
        return TERMS.accounts[0]

    def key(self, key_id):
        return TERMS.keys[0].limits if key_id == "b" else OrderLimits()


class Clock:
    """A clock that the sequence advances."""

    now_ns = 10**18

    def time_ns(self):
        return self.now_ns

    monotonic_ns = time_ns


class Journal:
    """A journal that keeps nothing."""

    def append(self, record):
        pass


class Venue:
    """A venue whose updates of orders, fills and positions are late, each kind by itself, and an
    account that has to stay within its limits there."""

    def __init__(self):
        self.clock = Clock()
        instrument = {"SWAP": LINEAR}.get
        self.state = AccountState("fake", "main", self.clock, Journal(), self, instrument)
        self.held = BalancesAndPositions(self.clock, Journal(), instrument)
        context = AccountContext(
            "fake", "main", self.clock, OrdersSettings(), accounts_file=Terms()
        )
        market = ReferenceMarketData(instrument)
        self.limiter = OrderLimiter(self.state.index, self.held, market, context)
        self.reductions = Reductions(
            self.state.index, self.held, instrument, self.clock, lambda: None
        )
        self.position = Decimal(0)
        self.orders = {}
        """VenueOrder by client order id, as they are."""
        self.updates = {"orders": deque(), "fills": deque(), "positions": deque()}
        self.accepted_ns = []
        self.fill_count = 0

    # What the account state calls.
    def order_changed(self, order):
        self.limiter.order_changed(order)

    def fill_added(self, fill):
        self.held.apply_fill(fill)

    def order_in_doubt(self, order):
        pass

    def update_unmatched(self, symbol, venue_order_id):
        pass

    def difference_found(self, difference):
        pass

    # What happens.
    def place(self, size, side, label, key_id):
        content = limit_order(str(size), "100", "SWAP", side=side, reduce_only=label)
        is_reduction = self.reductions.is_reduction(content)
        assert is_reduction == self.is_covered(content)
        if is_reduction and self.reductions.in_flight("SWAP") is not None:
            return
        if not is_reduction:
            try:
                self.limiter.check([content], key_id)
            except LimitExceeded:
                return
            self.accepted_ns.append(self.clock.now_ns)
            assert size * 100 <= 800
        key = f"o{len(self.orders)}"
        intent = OrderIntent(key, key, b"", content.SerializeToString(), 0, 0, False, key_id)
        order = self.state.index.add_intended(intent)
        self.state.transition(order, order_states.SENT)
        self.orders[key] = VenueOrder(
            "SWAP", key, key, side, content.type, Decimal(size), Decimal(100),
            order_states.OPEN, Decimal(0), venue_time_ns=self.clock.now_ns,
        )  # fmt: skip
        self.change(key)

    def is_covered(self, content):
        """Whether an order reduces, computed apart."""
        held = self.held.positions.get("SWAP", VenuePosition("SWAP", Decimal(0))).size
        if not held or not content.reduce_only or (content.side == SELL) != (held > 0):
            return False
        exits = [
            one.size - one.filled_size
            for one in self.state.index.open.values()
            if one.content.reduce_only and one.side == content.side
        ]
        return Decimal(content.size) <= abs(held) - sum(exits)

    def amend(self, place, size):
        """Amend an open order here; the venue does it at once."""
        key = self.open_key(place)
        if key is None or size <= self.orders[key].filled_size:
            return
        order = self.state.index.orders[key]
        content = limit_order(str(size), "100", "SWAP")
        content.CopyFrom(order.content)
        content.size = str(size)
        if order.is_final or size <= order.filled_size or content.reduce_only:
            return
        request_id = f"{key}/{len(order.amendments)}"
        approved = signed_pb2.ApprovedOrder(
            content=content, request_id=request_id, key_id=order.key_id
        )
        accepted = size > order.size
        try:
            self.limiter.check_amendment(order, approved)
        except LimitExceeded:
            return
        if accepted:
            self.accepted_ns.append(self.clock.now_ns)
        amendment = Amendment(
            key, request_id, b"", Decimal(size), Decimal(100), AmendmentOutcome.PENDING, ""
        )
        self.state.record_amendment(order, amendment)
        self.orders[key] = replace(self.orders[key], size=Decimal(size))
        self.change(key)
        if place % 2:
            self.state.record_amendment(order, amendment.ended(AmendmentOutcome.DONE, ""))

    def fill(self, place, size):
        key = self.open_key(place)
        if key is None:
            return
        order, content = self.orders[key], self.state.index.orders[key].content
        size = min(Decimal(size), order.size - order.filled_size)
        sign = 1 if order.side == BUY else -1
        if content.reduce_only:
            size = min(size, max(-sign * self.position, Decimal(0)))
        if size <= 0:
            self.cancel(place)
            return
        self.position += sign * size
        self.fill_count += 1
        filled = order.filled_size + size
        state = order_states.FILLED if filled == order.size else order_states.PARTLY_FILLED
        self.orders[key] = replace(order, filled_size=filled, state=state)
        fill = VenueFill(
            "SWAP", str(self.fill_count), key, key, order.side, Decimal(100), size,
            [Fee("USDT", Decimal(0))], orders_pb2.LIQUIDITY_MAKER, self.clock.now_ns,
        )  # fmt: skip
        self.updates["fills"].append(lambda: self.state.apply_fill(fill))
        position = VenuePosition("SWAP", self.position)
        self.updates["positions"].append(lambda: self.held.apply_position(position))
        self.change(key)

    def cancel(self, place):
        key = self.open_key(place)
        if key is not None:
            self.orders[key] = replace(self.orders[key], state=order_states.CANCELLED)
            self.change(key)

    def change(self, key):
        self.clock.now_ns += 1
        update = replace(self.orders[key], venue_time_ns=self.clock.now_ns)
        self.updates["orders"].append(lambda: self.state.apply_order(update))

    def deliver(self, kind, count):
        updates = self.updates[kind]
        for _ in range(min(count, len(updates))):
            updates.popleft()()

    def compare(self):
        """The account compares orders, fills and positions with the venue."""
        for kind in ("orders", "fills"):
            self.deliver(kind, len(self.updates[kind]))
        self.compare_positions()
        self.limiter.reconciled()

    def compare_positions(self):
        """Compare positions, with fills that come later."""
        position = VenuePosition("SWAP", self.position)
        list(self.held.replace_positions([position], compare=False))

    def wait(self, seconds):
        self.clock.now_ns += int(seconds * 10**9)

    def open_key(self, place):
        keys = [key for key, one in self.orders.items() if one.state not in order_states.FINAL]
        return keys[place % len(keys)] if keys else None

    def check(self):
        """The position stays within its limit whatever is filled next; so do the counts."""
        opening = [
            (one, self.state.index.orders[key])
            for key, one in self.orders.items()
            if one.state not in order_states.FINAL
            and not self.state.index.orders[key].content.reduce_only
        ]
        for side, held in ((BUY, self.position), (SELL, -self.position)):
            left = [one.size - one.filled_size for one, _ in opening if one.side == side]
            assert max(held, 0) + sum(left) <= SIZE_MAX
        assert len(opening) <= OPEN_MAX
        assert sum(order.key_id == "b" for _, order in opening) <= KEY_OPEN_MAX
        latest = [at for at in self.accepted_ns if at > self.clock.now_ns - 10**9]
        assert len(latest) <= PER_SECOND_MAX


def step(venue, chance, late):
    """One step of a sequence. Updates of ``late`` kinds are seldom delivered, the others soon."""
    match chance.choices(STEPS, WEIGHTS)[0]:
        case "place":
            label = chance.random() < 0.3
            venue.place(
                chance.randint(1, 8), chance.choice([BUY, SELL]), label, chance.choice("ab")
            )
        case "fill":
            venue.fill(chance.randint(0, 9), chance.choice([1, 3, 9]))
        case "amend":
            venue.amend(chance.randint(0, 9), chance.randint(1, 9))
        case "cancel":
            venue.cancel(chance.randint(0, 9))
        case "deliver":
            for kind in venue.updates:
                if kind not in late or chance.random() < 0.1:
                    venue.deliver(kind, chance.randint(0, 4))
        case "compare" | "compare_positions" as compare:
            getattr(venue, compare)()
        case "wait":
            venue.wait(chance.choice([0.3, 0.6, 1.5, 11.0]))


STEPS = ("place", "fill", "amend", "cancel", "deliver", "compare", "compare_positions", "wait")
WEIGHTS = (6, 4, 2, 1, 6, 0.3, 0.3, 3)


@given(st.randoms(use_true_random=True))
@settings(max_examples=40, deadline=None)
def test_no_sequence_exceeds_a_limit(chance):
    venue = Venue()
    for number in range(600):
        if number % 50 == 0:
            late = chance.choice(["orders", "fills", "positions", "fills positions", ""])
        step(venue, chance, late)
        venue.check()
    assert venue.fill_count > 20


def test_fill_that_comes_after_the_comparison_that_includes_it_does_not_hide_the_next_one():
    venue = Venue()
    venue.place(4, BUY, False, "a")
    venue.fill(0, 4)
    venue.compare()
    venue.wait(11)
    venue.place(2, SELL, False, "a")
    venue.fill(0, 2)
    venue.compare_positions()
    venue.deliver("orders", 9)
    venue.deliver("fills", 9)
    venue.wait(11)
    # The position is 2, and by the fills 0.
    venue.place(6, BUY, False, "a")
    venue.fill(0, 6)
    venue.deliver("orders", 9)
    venue.deliver("fills", 9)
    venue.wait(1)
    venue.place(3, BUY, False, "a")
    venue.check()
    venue.place(2, BUY, False, "a")
    venue.check()
    assert len(venue.accepted_ns) == 4


@pytest.mark.parametrize("late", ["orders", "fills", "positions"])
def test_limit_holds_while_one_kind_of_update_is_late(late):
    venue = Venue()
    for number in range(40):
        venue.place(4, BUY, False, "a")
        venue.fill(0, 4)
        if number % 3 == 0:
            venue.place(1, SELL, True, "a")
        for kind in venue.updates.keys() - {late}:
            venue.deliver(kind, 9)
        venue.wait(1)
        venue.check()
    assert venue.fill_count >= 2
