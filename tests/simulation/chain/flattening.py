"""A venue that a person has flatten the account, and its fills as the ledger divides them."""

from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector.tests.lying_venue import FILLED, MARKET
from core.inspector.venue_processes import CallRefused
from core.ledger.fill_allocation import allocate
from core.ledger.position_history import ChangeKey, ChangeKind, PositionChange
from kit.accounting.amounts import floor_to, plain
from kit.accounting.money import atoms_text, parse_atoms
from kit.base.errors import ApprovalRejected
from kit.events import event_log
from kit.execution.client_order_ids import client_order_id
from kit.execution.request_ids import CLOSE_MARK
from tests.simulation.chain.venue import ENTRY, REJECTED, ChainVenue, Group

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL
WAIT_S = 0.1


class FlattenedVenue(ChainVenue):
    """It takes no entries while it flattens, and nothing that closes more than the account has."""

    _flattening = 0
    was_flattened = False
    """At least once."""

    async def flatten(self, request_id):
        """Cancel all orders and close the position, in as many rounds as it takes."""
        self._history.note("flatten", request_id)
        self._flattening += 1
        self.was_flattened = True
        number = 0
        while True:
            self._cancel_all()
            if self._working:
                await self.clock.sleep(WAIT_S)
                continue
            size = floor_to(abs(self.position()), self._step)
            if size < self._min:
                break
            number += 1
            self._close_all(f"{request_id}/BTCUSDT/{number}", size)
        self._flattening -= 1

    def is_settled(self):
        return super().is_settled() and not self._flattening

    def _cancel_all(self):
        for order in list(self.orders.values()):
            if CLOSE_MARK not in order.request_id:
                self._end_cancelled(order)

    def _close_all(self, request_id, size):
        content = orders_pb2.OrderContent(
            venue="binance",
            account="paper",
            symbol="BTCUSDT",
            side=SELL if self.position() > 0 else BUY,
            type=MARKET,
            size=plain(size),
        )
        key = client_order_id(content.venue, content.account, request_id)
        self._groups[key] = Group([key], size)
        self._work(self._add(content, request_id, key), size)

    def _fence(self, approved):
        try:
            self._verifier.fence(self._verifier.verify(approved, self.clock.time_ns()))
        except ApprovalRejected as error:
            raise CallRefused(error.reason, error.message) from None

    def _place(self, approved):
        is_entry = approved[0].content.group.role == ENTRY
        if self._flattening and is_entry and approved[0].request_id not in self.made_ns:
            raise CallRefused("ACCOUNT_NOT_READY", "the account is being flattened")
        return super()._place(approved)

    def _resolve(self, order, size):
        is_other = order.content.group.role != ENTRY and CLOSE_MARK not in order.request_id
        is_too_large = self.was_flattened and size > abs(self.position())
        if is_other and order.state < FILLED and (self._flattening or is_too_large):
            self._end(order, REJECTED)
            return
        super()._resolve(order, size)

    def _try_again(self, order):
        if not self._flattening:
            super()._try_again(order)


async def name_shares(connection, stream, events):
    """Divide the fills of Flatten among the strategies, as the ledger does."""
    held = {}
    stored = [one.event() for one in await event_log.read(connection, stream, 0, 100_000)]
    known = {one.event_id for one in stored}
    for event in [*stored, *(one for one in events if one.event_id not in known)]:
        if not event.HasField("order_filled"):
            continue
        filled = event.order_filled
        if CLOSE_MARK in filled.request_id and event.event_id not in known:
            _divide(filled, held)
        for share in filled.shares:
            held[share.strategy] += parse_atoms(share.size)
        if filled.strategy:
            held[filled.strategy] = held.get(filled.strategy, 0) + _change(filled.fill)


def _change(fill):
    size = parse_atoms(fill.size)
    fee = parse_atoms(fill.fee.amount) if fill.fee.asset == "BTC" else 0
    return (size if fill.side == BUY else -size) - fee


def _divide(filled, held):
    fill = filled.fill
    size = parse_atoms(fill.size) * (1 if fill.side == BUY else -1)
    key = ChangeKey(fill.venue_time_ns, ChangeKind.FILL, len(fill.fill_id), fill.fill_id)
    del filled.shares[:]
    for part in allocate(PositionChange(key, b"", size=size), held):
        if part.strategy:
            filled.shares.add(strategy=part.strategy, size=atoms_text(part.size))
