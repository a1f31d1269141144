"""A fake venue that keeps positions and balances by its fills, and does not hold an order to its
label reduce-only: whoever closes too much is on the other side then."""

from dataclasses import replace
from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import flatten_pb2, orders_pb2, signed_pb2

from kit.accounting import amounts
from kit.execution.contract import VenueBalance, VenuePosition
from kit.execution.orders import order_states
from kit.execution.tests.fake_venue import CAPABILITIES, FakeVenue
from kit.execution.tests.order_groups import flow
from kit.execution.tests.simulated_process import NEVER_NS, SETTINGS, SPOT, World, signer

SYMBOL = "BTC-PERP"
PERPETUAL = types_pb2.Instrument()
PERPETUAL.CopyFrom(SPOT)
PERPETUAL.symbol, PERPETUAL.kind = SYMBOL, types_pb2.INSTRUMENT_KIND_PERPETUAL
WITH_POSITIONS = replace(CAPABILITIES, has_positions=True)
BASE = "BTC"


class PositionVenue(FakeVenue):
    """A venue with one position or balance."""

    def __init__(self, *arguments, held="0", symbol=SYMBOL, **more):
        super().__init__(*arguments, **more)
        self.symbol = symbol
        self.held_before = Decimal(held)
        self.share_filled = [Decimal(1)]
        """How much of the next market orders is filled; the last one of all that follow."""
        self.lag_s = 0.0
        """How old the venue's answers about what is held are, on top of the lag of its fills."""
        self.opened_by_market = False
        """Whether a market order has opened a position, on the other side of zero or at all."""

    @property
    def held(self):
        """What is really held, without any lag."""
        return self._held_at(float("inf"))

    @property
    def positions(self):
        held = self._held_at(self.time - self.lag_s)
        is_shown = self.capabilities.has_positions and held
        return [VenuePosition(self.symbol, held)] if is_shown else []

    @positions.setter
    def positions(self, value):
        """The base class has none."""

    @property
    def balances(self):
        held = self._held_at(self.time - self.lag_s)
        quote = VenueBalance("USDT", Decimal(10_000), Decimal(10_000))
        return (
            [quote] if self.capabilities.has_positions else [VenueBalance(BASE, held, held), quote]
        )

    @balances.setter
    def balances(self, value):
        """The base class has none."""

    def arrive(self, request):
        is_known = request.client_order_id in self.by_client_id
        truth = super().arrive(request)
        if request.type == orders_pb2.ORDER_TYPE_MARKET and not is_known:
            self._match(truth)
        return truth

    def plan(self, truth):
        if truth.now.type != orders_pb2.ORDER_TYPE_MARKET:
            super().plan(truth)

    def fill(self, truth, size):
        before = self.held
        super().fill(truth, size)
        is_larger = before * self.held < 0 or abs(self.held) > abs(before)
        if truth.now.type == orders_pb2.ORDER_TYPE_MARKET and is_larger:
            self.opened_by_market = True

    def _match(self, truth):
        """Fill a market order as far as there is liquidity; its rest expires."""
        if self.unreliable:
            share = Decimal(self.random.choice(("0", "0.5", "1", "1")))
        else:
            share = self.share_filled.pop(0) if len(self.share_filled) > 1 else self.share_filled[0]
        step = Decimal(PERPETUAL.size_step)
        self.fill(truth, amounts.floor_to(truth.now.size * share, step))
        self.end(truth, order_states.EXPIRED)

    def _held_at(self, time):
        signed = (
            fill.size if fill.side == types_pb2.SIDE_BUY else -fill.size
            for at, fill in self.fills
            if at <= time and fill.symbol == self.symbol
        )
        return sum(signed, self.held_before)


def position_world(seed=7, held="2", *, unreliable=False, is_spot=False, settings=SETTINGS):
    """A world with a position, or on spot with a balance."""
    found = World(seed, settings, unreliable=unreliable)
    instrument = SPOT if is_spot else PERPETUAL
    found.venue = PositionVenue(
        seed,
        found.clock,
        held=held,
        symbol=instrument.symbol,
        capabilities=CAPABILITIES if is_spot else WITH_POSITIONS,
        unreliable=unreliable,
    )
    found.instruments[instrument.symbol] = instrument
    return found


async def flatten(world, symbol=SYMBOL, request_id="f", by=None):
    """Flatten as a caller does. Returns the answer."""
    content = orders_pb2.OrderContent(venue="fake", account="main", symbol=symbol)
    approved = (by or signer()).approve(content, request_id, NEVER_NS, signed_pb2.OPERATION_FLATTEN)
    request = flatten_pb2.FlattenRequest(
        venue="fake", account="main", symbol=symbol, approved=approved
    )
    return await flow(world).Flatten(request, None)
