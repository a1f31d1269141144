"""Reports the open positions of strategies with their stops."""

from typing import cast

from venuemesh.inspector.v1 import risk_reports_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from core.inspector import positions, protection_store
from core.inspector.positions import FILLED, OrderRole, Position
from core.inspector.protection import UNKNOWN
from core.inspector.protection_store import ProtectionFinding
from kit.accounting.amounts import plain
from kit.base.database import Connection

NOT_LOOKED_YET = ProtectionFinding(UNKNOWN), 0


async def load(connection: Connection) -> list[risk_reports_pb2.PositionProtection]:
    """All of them, by venue, account, symbol and strategy."""
    found = await positions.all_open(connection)
    found.sort(key=lambda one: (one.venue, one.account, one.symbol, one.strategy))
    states = await protection_store.states(connection)
    reports = []
    for one in found:
        report = await _report(connection, one)
        finding, report.since_time_ns = states.get(one.position_id, NOT_LOOKED_YET)
        report.state, report.problem = finding.state or UNKNOWN, finding.problem
        report.size = finding.size or report.size
        reports.append(report)
    return reports


async def _report(
    connection: Connection, position: Position
) -> risk_reports_pb2.PositionProtection:
    orders = await positions.orders_of(connection, position)
    return risk_reports_pb2.PositionProtection(
        lifecycle_id=position.position_id,
        strategy=position.strategy,
        venue=position.venue,
        account=position.account,
        symbol=position.symbol,
        size=plain(positions.held(orders)),
        stop_price=position.stop_price,
        target_price=position.target_price,
        trailing_offset=position.trailing_offset,
        trailed_price=position.trailed_price,
        exits=[
            risk_reports_pb2.ExitOrder(
                client_order_id=one.client_order_id,
                is_stop=one.role == OrderRole.STOP,
                is_trailing=one.role == OrderRole.TRAILING_STOP,
                state=cast("orders_pb2.OrderState.ValueType", one.state),
                filled_size=plain(one.filled_size),
            )
            for one in orders
            if one.is_exit and one.state < FILLED
        ],
    )
