"""Persons who order, adopt what no strategy has opened, and cancel exits at the venue."""

from decimal import Decimal

from venuemesh.inspector.v1 import adoptions_pb2, inspector_pb2
from venuemesh.tradeflow.v1 import orders_pb2, signed_pb2

from core.inspector.tests.test_manual_orders import LENA
from kit.accounting.amounts import plain

PLACE = {"venue": "binance", "account": "paper", "symbol": "BTCUSDT"}
CENT = Decimal("0.01")
LOOKS, LOOK_S = 50, 0.2
"""How often somebody looks whether something is there."""


class Persons:
    """What they do in a run."""

    def __init__(self, run):
        self._run = run
        self.chance = run.random("persons")

    def ask(self):
        """Ask for an order, or for its end."""
        run, chance = self._run, self._run.chance
        process = run.acting()
        if process is None:
            return
        content = orders_pb2.OrderContent(
            **PLACE,
            side=chance.choice(run.market.sides), type=orders_pb2.ORDER_TYPE_LIMIT,
            size=run.size(), price=plain(run.market.price),
        )  # fmt: skip
        request = inspector_pb2.SubmitManualRequest(
            request_id=f"r{next(run.numbers)}", reason="a test",
            operation=signed_pb2.OPERATION_PLACE, content=content,
        )  # fmt: skip
        open_orders = [one for one in run.venue.orders.values() if self._is_of_person(one)]
        if open_orders and chance.random() < 0.5:
            request.operation = signed_pb2.OPERATION_CANCEL
            request.target_client_order_id = chance.choice(open_orders).client_order_id
            request.content.CopyFrom(orders_pb2.OrderContent(**PLACE))
        run.history.note("request", signed_pb2.Operation.Name(request.operation))
        process.start(run.quietly(process.parts.manual.submit(request, LENA)))

    def _is_of_person(self, order):
        return order.state < orders_pb2.ORDER_STATE_FILLED and not self._run.venue.owner_of(order)

    def adopt(self):
        """Adopt what no strategy has opened, as soon as there is anything."""
        self._run.begin(self._when(self._run.venue.held_of_no_strategy, self._adopt))

    async def _when(self, is_there, act):
        for _ in range(LOOKS):
            if is_there():
                act()
                return
            await self._run.clock.sleep(LOOK_S)

    def _adopt(self):
        run, chance = self._run, self.chance
        process = run.acting()
        if process is None:
            return
        away = Decimal(chance.choice((1, 3))) / 100
        if run.venue.held_of_no_strategy() > 0:
            away = -away
        target = chance.choice((0, 2))
        price = run.market.price
        request = adoptions_pb2.AdoptPositionRequest(
            **PLACE,
            reason="a test",
            stop_price=plain((price * (1 + away)).quantize(CENT)),
            target_price=plain((price * (1 - target * away)).quantize(CENT)) if target else "",
            trailing_offset=chance.choice(("", "300", "3000")),
        )
        run.history.note("adoption asked for")
        process.start(run.quietly(self._answered(process.parts.adoptions, request)))

    async def _answered(self, adoptions, request):
        answer = await adoptions.adopt(request, LENA.name)
        self._run.history.note("adopted", answer.size)

    def cancel_exits(self):
        """Cancel them on the page of the venue, as soon as there are any."""
        self._run.begin(self._when(self._run.venue.working_exits, self._cancel_exits))

    def _cancel_exits(self):
        self._run.history.note("exits cancelled")
        self._run.venue.cancel_exits()
