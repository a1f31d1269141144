"""What decisions would have brought, by their observed outcomes."""

from decimal import Decimal

from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import decisions_pb2

from kit.accounting import instruments
from kit.risk.order_checks import amount


def outcome_profit(
    terms: types_pb2.Instrument,
    intent: decisions_pb2.ExecutionIntent,
    outcome: decisions_pb2.OutcomeObserved,
) -> Decimal | None:
    """Of the size of the intent, from its reference price to the price of the outcome, before fees,
    in the asset that pays it. None: it is not known."""
    size, entry = amount(intent.size), amount(intent.reference_price)
    end = amount(outcome.price) if outcome.HasField("is_won") else None
    if size is None or entry is None or end is None:
        return None
    is_buy = intent.side == types_pb2.SIDE_BUY
    return instruments.profit(terms, size if is_buy else -size, entry, end)
