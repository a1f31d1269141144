"""Metrics of the accounts of one process."""

from collections.abc import Mapping
from functools import partial

from venuemesh.tradeflow.v1 import orders_pb2

from kit.base.clock import NANOSECONDS_PER_SECOND, Clock
from kit.base.telemetry import Meter
from kit.execution.account import Account
from kit.execution.contract import OrderState
from kit.execution.journal.records import OrderFill
from kit.execution.orders import order_states
from kit.execution.orders.order import Order

ACKNOWLEDGE_BUCKETS_SECONDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1, 2, 5, 10),
)
ACKNOWLEDGED = order_states.AT_VENUE | {order_states.FILLED}


class OrderMetrics:
    """Metrics of orders, by account."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._clock = clock
        self._reached = meter.counter(
            "orders", "Orders that have reached a state", "account", "state"
        )
        self._rejects = meter.counter("order_rejects", "Orders rejected", "account", "reason")
        self._fills = meter.counter("order_fills", "Fills of orders", "account")
        self._acknowledge = meter.histogram(
            "order_acknowledge_seconds",
            "Time from sending an order until the venue has it",
            ACKNOWLEDGE_BUCKETS_SECONDS,
            "account",
        )
        self._open = meter.gauge("orders_open", "Orders that have not ended", "account")
        self._unknown = meter.gauge(
            "orders_unknown", "Orders of which it is unknown whether the venue has them", "account"
        )
        self._ready = meter.gauge("account_ready", "1: the account takes orders", "account")

    def follow(self, account: Account) -> None:
        """Count what happens to the orders of an account from now on."""
        name, state = account.context.account, account.state
        state.index.observers.append(_AccountCounter(name, self, self._clock))
        self._open.labels(name).set_function(partial(len, state.index.open))
        self._unknown.labels(name).set_function(partial(_unknown_count, state.index.open))
        self._ready.labels(name).set_function(lambda: account.readiness.is_ready)
        # Series that exist from the start show the first increase.
        self._fills.labels(name)
        self._acknowledge.labels(name)

    def count_state(self, account: str, order: Order) -> None:
        self._reached.labels(account, order_states.name_of(order.state).lower()).inc()
        if order.state == order_states.REJECTED:
            reason = orders_pb2.RejectReason.Name(order.reject_reason)
            label = reason.removeprefix("REJECT_REASON_").lower()
            self._rejects.labels(account, label).inc()

    def count_fill(self, account: str) -> None:
        self._fills.labels(account).inc()

    def acknowledged(self, account: str, after_ns: int) -> None:
        self._acknowledge.labels(account).observe(after_ns / NANOSECONDS_PER_SECOND)


class _AccountCounter:
    """Counts for one account."""

    def __init__(self, account: str, metrics: OrderMetrics, clock: Clock) -> None:
        self._account, self._metrics, self._clock = account, metrics, clock
        self._sent_ns: dict[str, int] = {}
        """By order key, when an order was sent that has no answer yet."""

    def state_changed(self, order: Order, before: OrderState) -> None:
        self._metrics.count_state(self._account, order)
        if order.state == order_states.SENT:
            self._sent_ns[order.key] = self._clock.monotonic_ns()
            return
        sent_ns = self._sent_ns.pop(order.key, None)
        if sent_ns is not None and order.state in ACKNOWLEDGED:
            self._metrics.acknowledged(self._account, self._clock.monotonic_ns() - sent_ns)

    def fill_added(self, fill: OrderFill) -> None:
        self._metrics.count_fill(self._account)


def _unknown_count(orders: Mapping[str, Order]) -> int:
    # Metrics are served by another thread; a copy does not change meanwhile.
    return sum(order.state == order_states.UNKNOWN for order in list(orders.values()))
