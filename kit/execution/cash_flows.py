"""What has changed balances other than fills and their fees, as a venue lists it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol, TypeAlias

from venuemesh.tradeflow.v1 import cash_flows_pb2

CashFlowKind: TypeAlias = "cash_flows_pb2.CashFlowKind.ValueType"
CashFlowPosition: TypeAlias = tuple[int, int, str]
"""Time, kind and id of a change: the order of the list."""


@dataclass(frozen=True, slots=True)
class VenueCashFlow:
    """One change of a balance, as the venue lists it."""

    cash_flow_id: str
    """Unique per kind."""
    kind: CashFlowKind
    symbol: str
    """Empty for a change that belongs to no instrument."""
    asset: str
    amount: Decimal
    """Negative if paid."""
    venue_time_ns: int
    detail: str = ""
    """The venue's text."""

    @property
    def position(self) -> CashFlowPosition:
        """Its place in a list."""
        return self.venue_time_ns, self.kind, self.cash_flow_id


@dataclass(frozen=True, slots=True)
class CashFlowsPage:
    """With the pages before it, it completes what the venue lists before a time."""

    flows: Sequence[VenueCashFlow]
    """In the order of ``VenueCashFlow.position``, each once."""
    end_ns: int
    next_span_ns: int = 0
    """The next request, if the list is interrupted here and continued later."""


class CashFlowQueries(Protocol):
    """Questions about changes of balances."""

    def cash_flows(self, since_time_ns: int, span_ns: int = 0) -> AsyncIterator[CashFlowsPage]:
        """Yield the changes from a time on, oldest first. Each call waits for its own turn, with
        Priority.QUESTION. ``span_ns``: how much to ask for first; 0: as a list begins. Raises as
        AccountQueries, and NotSupported."""
