"""Whether an account takes orders, and why not."""

from dataclasses import dataclass
from typing import TypeAlias

from venuemesh.tradeflow.v1 import trade_flow_pb2

State: TypeAlias = "trade_flow_pb2.AccountState.ValueType"

RECONCILING = trade_flow_pb2.ACCOUNT_STATE_RECONCILING
READY = trade_flow_pb2.ACCOUNT_STATE_READY
DISCONNECTED = trade_flow_pb2.ACCOUNT_STATE_DISCONNECTED
REFUSED = trade_flow_pb2.ACCOUNT_STATE_REFUSED


@dataclass(slots=True)
class Readiness:
    """The readiness of one account. Only its venue session changes it."""

    state: State = RECONCILING
    detail: str = "the journal is being read"

    @property
    def is_ready(self) -> bool:
        """Whether journal and venue agree: orders are sent only then."""
        return self.state == READY
