"""Whether an account takes orders, and why not."""

from dataclasses import dataclass
from typing import TypeAlias

from venuemesh.tradeflow.v1 import accounts_pb2

from kit.execution.orders.order import Order

State: TypeAlias = "accounts_pb2.AccountState.ValueType"

RECONCILING = accounts_pb2.ACCOUNT_STATE_RECONCILING
READY = accounts_pb2.ACCOUNT_STATE_READY
DISCONNECTED = accounts_pb2.ACCOUNT_STATE_DISCONNECTED
REFUSED = accounts_pb2.ACCOUNT_STATE_REFUSED


@dataclass(slots=True)
class Readiness:
    """The readiness of one account. Only its venue session changes it."""

    state: State = RECONCILING
    detail: str = "the journal is being read"
    is_reconciled: bool = False
    """Whether journal and venue agree, as far as is known. Protective orders are sent then, also
    while the account is REFUSED for its configuration."""

    def allows(self, order: Order) -> bool:
        """Whether an order that waited here is sent now."""
        return self.is_ready or (self.is_reconciled and order.is_protective)

    @property
    def is_ready(self) -> bool:
        """Whether every order is sent."""
        return self.state == READY
