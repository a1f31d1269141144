"""What must hold for the positions that are open once nothing is on its way, and what was to become
of them."""

from decimal import Decimal
from math import prod

from venuemesh.events.v1 import decisions_pb2, risk_pb2, signals_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import positions
from core.inspector.first_events import SOURCE
from core.inspector.positions import OrderRole
from core.inspector.submissions import RISK
from core.inspector.trailing_stops import STEP
from kit.events.event_ids import event_id
from tests.simulation.chain.history import Promise
from tests.simulation.chain.processes import DECISIONS
from tests.simulation.chain.venue import BUY

ISSUED = decisions_pb2.DECISION_OUTCOME_INTENT_ISSUED
CLOSING_ALL = risk_pb2.TRADING_MODE_CLOSING_ALL
REDUCE, FLIP = signals_pb2.POSITION_ACTION_REDUCE, signals_pb2.POSITION_ACTION_FLIP
MARKET, STOP = orders_pb2.ORDER_TYPE_MARKET, orders_pb2.ORDER_TYPE_STOP
TRAILING_STOP = orders_pb2.ORDER_TYPE_TRAILING_STOP
HOLDS_NOTHING = "the strategy holds nothing"
"""How the detail of a verdict begins whose strategy has no position."""


class HeldChecks:
    """Compares the open positions with the venue, the strategy and the decisions."""

    def __init__(self, chain):
        self._chain, self._record, self._venue = chain, chain.record, chain.venue
        self._min = Decimal(chain.market.instrument.size_min)

    def _broke(self, promise, text):
        self._chain.history.broke(promise, text)

    async def check(self):
        """Check what is open now."""
        found = await self._record.open_positions()
        for position, orders in found:
            self._check_protected(position, orders)
        await self._check_agreed([positions.held(orders) for _, orders in found])
        reductions = Reductions(
            [one.event() for one in await self._record.events(RISK)],
            [one.event() for one in await self._record.events(DECISIONS)],
        )
        for position, orders in found:
            self._check_done(position, orders, reductions)
        if not self._venue.was_flattened:
            for decision in reductions.not_flipped():
                text = f"the flip {decision.event_id.hex()} has no verdict on the other side"
                self._broke(Promise.DONE, text)

    def _check_protected(self, position, orders):
        """Check that what is held has a stop that works, of its size and at its price."""
        size = position.tradable(abs(positions.held(orders)))
        if not size:
            text = f"{position.position_id.hex()} holds nothing, and has not ended"
            self._broke(Promise.ENDED, text)
            return
        keys = {one.client_order_id for one in orders}
        exits = [one for one in self._venue.working_exits() if one.client_order_id in keys]
        stops = [
            (self._venue.left(one), Decimal(one.content.stop_price))
            for one in exits
            if one.content.type == STOP
        ]
        wanted = size, Decimal(position.stop_price)
        if position.trailing_offset:
            self._check_trailed(position, stops, wanted, exits)
        elif stops != [wanted]:
            text = f"{position.position_id.hex()} needs the stop {wanted}, and has {stops}"
            self._broke(Promise.PROTECTED, text)

    def _check_trailed(self, position, stops, wanted, exits):
        """Check a stop that trails: it may have moved towards the market, by less than a step less
        than the one that follows the best price."""
        trailing = [one for one in exits if one.content.type == TRAILING_STOP]
        size, first = wanted
        sells = bool(trailing) and trailing[0].content.side != BUY
        is_there = len(trailing) == 1 and [one for one, _ in stops] == [size]
        if not is_there or (stops[0][1] < first if sells else stops[0][1] > first):
            text = f"{position.position_id.hex()} needs {wanted} or nearer, and has {stops}"
            self._broke(Promise.PROTECTED, f"{text}, {len(trailing)} trail")
            return
        at = Decimal(trailing[0].trigger_price or first)
        behind = at - stops[0][1] if sells else stops[0][1] - at
        if self._venue.amends_stops and behind >= Decimal(position.trailing_offset) * STEP:
            text = f"{position.position_id.hex()} has its stop at {stops[0][1]}"
            self._broke(Promise.TRAILED, f"{text}, and the price has come to {at}")

    async def _check_agreed(self, held):
        """Check that strategy, inspector and venue have the same."""
        believed = await self._record.detector_position()
        if believed != sum(held):
            self._broke(Promise.AGREED, f"the detector has {believed}, the inspector {held}")
        at_venue = self._venue.position()
        if abs(at_venue - sum(held)) > self._min * len(self._venue.entries()):
            self._broke(Promise.AGREED, f"the venue has {at_venue}, the inspector {held}")

    def _check_done(self, position, orders, reductions):
        """Check what was decided on a position that is still open."""
        factors = []
        for decision in reductions.of(position.position_id):
            intent = decision.decision_made.intent
            if intent.action != REDUCE:
                text = f"{position.position_id.hex()} is open, and {decision} was allowed"
                self._broke(Promise.DONE, text)
                continue
            fraction = Decimal(intent.reduce_fraction)
            if reductions.is_ordered(decision):
                factors.append(1 - fraction)
            elif abs(positions.held(orders)) * fraction >= self._min:
                text = f"the reduction has no outcome: {decision.event_id.hex()}"
                self._broke(Promise.DONE, text)
        entry = abs(positions.held(one for one in orders if one.role == OrderRole.ENTRY))
        # A fee in the base asset leaves less than a step.
        dust = Decimal(position.size_step) * len(factors)
        held, most = abs(positions.held(orders)), entry * prod(factors) + dust
        if held > most:
            text = f"{position.position_id.hex()} has {held}, and shall have {most} at most"
            self._broke(Promise.DONE, text)


class Reductions:
    """The decisions to close, to reduce or to flip a position, which were all allowed."""

    def __init__(self, risk, decisions):
        names = {
            event_id(SOURCE, one.decision_made.intent.strategy, [one.event_id]): one
            for one in decisions
            if one.decision_made.outcome == ISSUED
        }
        self._of, self._flips, position_id = {}, {}, b""
        self._causes, self._opened = set(), set()
        for event in risk:
            given, decision = event.verdict_given, names.get(event.event_id)
            if event.HasField("mode_changed") and event.mode_changed.after == CLOSING_ALL:
                # Nothing is opened after what was wanted before.
                self._flips.clear()
            if given.orders and not given.is_reduction:
                position_id = event.lifecycle_id
            if given.orders and given.orders[0].content.type == MARKET:
                self._causes |= set(event.cause_ids)
            if decision is None and not given.is_reduction:
                self._opened |= set(event.cause_ids)
            is_of_position = decision is not None and given.is_reduction
            if is_of_position and not given.checks[-1].detail.startswith(HOLDS_NOTHING):
                self._add(position_id, decision)

    def _add(self, position_id, decision):
        self._of.setdefault(position_id, []).append(decision)
        action = decision.decision_made.intent.action
        if action != REDUCE:
            first = self._flips.pop(position_id, None)
            if action == FLIP:
                # One that comes while the position is flipped already changes nothing.
                self._flips[position_id] = first or decision

    def of(self, position_id):
        """Those of a position."""
        return self._of.get(position_id, [])

    def is_ordered(self, decision):
        """Whether an order was approved for it."""
        return decision.event_id in self._causes

    def not_flipped(self):
        """Flips that are the newest that was wanted of their position, and have no verdict on the
        other side."""
        return [one for one in self._flips.values() if one.event_id not in self._opened]
