"""The events of a running mesh, and the chains that they form."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from venuemesh.audit.v1 import audit_pb2, audit_pb2_grpc
from venuemesh.common.v1 import types_pb2
from venuemesh.events.v1 import event_pb2, signals_pb2

from tests.integration.mesh import CALL_SECONDS_MAX, Mesh

STEPS = (
    "signal_raised",
    "decision_made",
    "verdict_given",
    "orders_submitted",
    "order_changed",
    "order_filled",
    "postings_booked",
)
"""What a chain has from a signal to the books, each at least once."""
STEP = Decimal("0.00001")
"""Of sizes of the instrument."""


@dataclass
class Chain:
    """The events of one lifecycle, by the name of their content."""

    events: dict[str, list[event_pb2.Event]] = field(default_factory=lambda: defaultdict(list))

    @property
    def is_whole(self) -> bool:
        return all(self.events.get(step) for step in STEPS)

    @property
    def orders(self) -> Mapping[str, set[str]]:
        """The client order ids by request id."""
        found: dict[str, set[str]] = defaultdict(set)
        for event in self.events.get("order_changed", ()):
            order = event.order_changed.order
            found[order.request_id].add(order.client_order_id)
        return found


def stored(mesh: Mesh) -> Iterator[event_pb2.Event]:
    """All stored events, in the order of their streams."""
    for (body,) in mesh.sql("SELECT body FROM events ORDER BY stream, sequence"):
        yield event_pb2.Event.FromString(bytes(body))


def chains(mesh: Mesh) -> dict[bytes, Chain]:
    """The chains by their lifecycle ids."""
    found: dict[bytes, Chain] = defaultdict(Chain)
    for event in stored(mesh):
        if event.lifecycle_id:
            found[event.lifecycle_id].events[str(event.WhichOneof("payload"))].append(event)
    return found


def whole_chains(mesh: Mesh) -> dict[bytes, Chain]:
    """Those that have reached the books."""
    return {name: chain for name, chain in chains(mesh).items() if chain.is_whole}


def why(mesh: Mesh, fill_event: event_pb2.Event) -> audit_pb2.WhyResponse:
    """What the audit says about a fill."""
    fill = fill_event.order_filled.fill
    request = audit_pb2.WhyRequest(
        venue=fill.venue, account=fill.account, symbol=fill.symbol, fill_id=fill.fill_id
    )
    return audit_pb2_grpc.AuditStub(mesh.channel).Why(request, timeout=CALL_SECONDS_MAX)


def check_each_once(mesh: Mesh) -> None:
    """Each signal has at most one decision, each decision to open a position at most one verdict,
    and each approved order was placed at most once."""
    for chain in chains(mesh).values():
        decided = Counter(map(_cause, chain.events["decision_made"]))
        assert decided.keys() <= {one.event_id for one in chain.events["signal_raised"]}
        assert set(decided.values()) <= {1}
        # A close has a verdict for each order that it needs.
        opening = {one.event_id for one in chain.events["decision_made"] if _opens(one)}
        judged = Counter(map(_cause, chain.events["verdict_given"]))
        assert {judged[event_id] for event_id in opening} <= {0, 1}
        approved = [
            order.request_id
            for verdict in chain.events["verdict_given"]
            for order in verdict.verdict_given.orders
        ]
        assert len(approved) == len(set(approved))
        assert all(len(names) == 1 for names in chain.orders.values()), chain.orders
        # Another attempt of an exit has the id of the first one.
        assert {name.partition("~")[0] for name in chain.orders} <= set(approved)


def check_position(mesh: Mesh) -> None:
    """The strategy has never held more than one position, and has never sold what it did not
    hold."""
    filled = [one.order_filled for one in stored(mesh) if one.HasField("order_filled")]
    filled.sort(key=lambda one: one.fill.venue_time_ns)
    held, sales = Decimal(0), 0
    largest = max(_sizes(chain) for chain in chains(mesh).values())
    for one in filled:
        if one.fill.side == types_pb2.SIDE_BUY:
            held += Decimal(one.fill.size)
        else:
            held -= Decimal(one.fill.size)
            sales += 1
        # A fee in the base asset leaves less than two steps of each position.
        assert 0 <= held <= largest + 2 * STEP * sales


def _cause(event: event_pb2.Event) -> bytes:
    return event.cause_ids[0]


def _opens(event: event_pb2.Event) -> bool:
    return event.decision_made.intent.action == signals_pb2.POSITION_ACTION_OPEN


def _sizes(chain: Chain) -> Decimal:
    """The largest size of an intent."""
    sizes = [one.decision_made.intent.size or "0" for one in chain.events["decision_made"]]
    return max(map(Decimal, sizes), default=Decimal(0))
