"""Reads the events of fills and of other changes of balances."""

from collections import Counter
from dataclasses import dataclass

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2
from venuemesh.tradeflow.v1 import cash_flows_pb2

from core.ledger.contracts import InstrumentKey
from core.ledger.position_history import ChangeKey, ChangeKind, PositionChange
from core.ledger.posting_rules import KINDS, InstrumentAccounts
from core.ledger.postings import AMOUNT_END, PostingKind
from kit.accounting.contract import Contract
from kit.accounting.money import parse_atoms
from kit.base.numbers import NumberError
from kit.events.subjects import event_group_id
from kit.execution.request_ids import CLOSE_MARK

POSITION_FLOWS = {
    PostingKind.FUNDING: ChangeKind.FUNDING,
    PostingKind.SETTLEMENT: ChangeKind.SETTLEMENT,
}
"""Changes of a balance that belong to positions, if they name an instrument."""


class InvalidExecution(Exception):
    """An event cannot be booked. ``reason`` is one of errors.proto."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Execution:
    """An event that changes balances."""

    event: event_pb2.Event
    accounts: InstrumentAccounts

    @property
    def group_id(self) -> str:
        return event_group_id(self.event.event_id)

    @property
    def instrument(self) -> InstrumentKey | None:
        """The instrument whose positions it may change."""
        may_have_none = self.kind in (PostingKind.OPENING, *POSITION_FLOWS)
        if self.kind is PostingKind.FILL or (may_have_none and self.accounts.symbol):
            return InstrumentKey(self.accounts.venue, self.accounts.symbol)
        return None

    @property
    def kind(self) -> PostingKind:
        """Why its group is made."""
        match self.event.WhichOneof("payload"):
            case "order_filled":
                return PostingKind.FILL
            case "balances_opened" | "position_opened":
                return PostingKind.OPENING
        return KINDS.get(self.event.cash_moved.cash_flow.kind, PostingKind.OTHER)

    @property
    def is_flatten(self) -> bool:
        """Whether it is a fill of an order that closes what all in the account hold."""
        filled = self.event.order_filled
        return CLOSE_MARK in filled.request_id and not filled.strategy

    @property
    def time_ns(self) -> int:
        """When it happened, by the venue's clock; of an opening, by ours."""
        return self.event.time_ns

    @property
    def detail(self) -> str:
        return self.event.cash_moved.cash_flow.detail

    def flow(self) -> tuple[str, int]:
        """The asset and the amount of a change of a balance. Raises InvalidExecution."""
        flow = self.event.cash_moved.cash_flow
        return flow.asset, _atoms("amount", flow.amount)

    @property
    def opens_balances(self) -> bool:
        """Whether it states what the account had."""
        return self.event.HasField("balances_opened")

    def opened_balances(self) -> dict[str, int]:
        """What the account had, by asset. Raises InvalidExecution."""
        balances = self.event.balances_opened.balances
        return {one.asset: _atoms(f"balance of {one.asset}", one.total) for one in balances}

    def fees(self) -> Counter[str]:
        """The fees of a fill, in atoms by asset. Raises InvalidExecution."""
        fill = self.event.order_filled.fill
        found: Counter[str] = Counter()
        for fee in (fill.fee, *fill.further_fees):
            if fee.asset and fee.amount:
                found[fee.asset] += _atoms("fee", fee.amount)
        return found

    def change(self, contract: Contract) -> PositionChange | None:
        """What it changes in the positions of its instrument, or None. Raises InvalidExecution."""
        if self.event.HasField("order_filled"):
            return self._fill(contract)
        if self.event.HasField("position_opened"):
            return self._opening(contract)
        asset, amount = self.flow()
        if contract.is_spot or asset != contract.settle:
            return None
        flow_id = self.event.cash_moved.cash_flow.cash_flow_id
        key = ChangeKey(self.time_ns, POSITION_FLOWS[self.kind], len(flow_id), flow_id)
        return PositionChange(key, self.event.event_id, amount=amount)

    def _fill(self, contract: Contract) -> PositionChange:
        fill = self.event.order_filled.fill
        price, size = _atoms("price", fill.price), _atoms("size", fill.size)
        # A negative size takes an earlier fill back.
        if not size or price < 0 or (contract.is_inverse and not price):
            raise InvalidExecution("AMOUNT_OUT_OF_BOUNDS", f"a fill of {fill.size} at {fill.price}")
        if contract.value(price, abs(size)) >= AMOUNT_END:
            raise InvalidExecution(
                "AMOUNT_OUT_OF_BOUNDS", f"the value of {fill.size} at {fill.price}"
            )
        if fill.side not in (types_pb2.SIDE_BUY, types_pb2.SIDE_SELL):
            raise InvalidExecution("BAD_REQUEST", "the side of a fill is not set")
        is_paid = contract.is_spot or not fill.profit_at_settlement
        kind = ChangeKind.FILL if is_paid else ChangeKind.UNPAID_FILL
        key = ChangeKey(fill.venue_time_ns, kind, len(fill.fill_id), fill.fill_id)
        return PositionChange(
            key,
            self.event.event_id,
            self.event.order_filled.strategy,
            price,
            size if fill.side == types_pb2.SIDE_BUY else -size,
            self.fees()[contract.base] if contract.is_spot else 0,
        )

    def _opening(self, contract: Contract) -> PositionChange:
        position = self.event.position_opened.position
        size = _atoms("size", position.size)
        price = _atoms("entry price", position.entry_price) if size else 0
        if contract.is_spot or price < 0 or (contract.is_inverse and size and not price):
            text = f"a position of {position.size} at {position.entry_price!r}"
            raise InvalidExecution("AMOUNT_OUT_OF_BOUNDS", text)
        if size and contract.value(price, abs(size)) >= AMOUNT_END:
            raise InvalidExecution(
                "AMOUNT_OUT_OF_BOUNDS", f"the value of a position of {position.size}"
            )
        key = ChangeKey(self.time_ns, ChangeKind.OPENING, 0, "")
        return PositionChange(key, self.event.event_id, price=price, size=size)


def execution_of(event: event_pb2.Event) -> Execution | None:
    """The change of balances that an event reports, or None."""
    match event.WhichOneof("payload"):
        case "order_filled":
            fill = event.order_filled.fill
            return Execution(event, InstrumentAccounts(fill.venue, fill.account, fill.symbol))
        case "cash_moved":
            flow: cash_flows_pb2.CashFlow = event.cash_moved.cash_flow
            return Execution(event, InstrumentAccounts(flow.venue, flow.account, flow.symbol))
        case "balances_opened":
            found = event.balances_opened
            return Execution(event, InstrumentAccounts(found.venue, found.account, ""))
        case "position_opened":
            one = event.position_opened
            symbol = one.position.symbol
            return Execution(event, InstrumentAccounts(one.venue, one.account, symbol))
    return None


def _atoms(name: str, text: str) -> int:
    try:
        atoms = parse_atoms(text)
    except NumberError as error:
        raise InvalidExecution("AMOUNT_OUT_OF_BOUNDS", f"{name}: {error}") from None
    if abs(atoms) >= AMOUNT_END:
        raise InvalidExecution("AMOUNT_OUT_OF_BOUNDS", f"{name} {text} is too large")
    return atoms
