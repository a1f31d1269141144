"""Orders as tables."""

from rich.console import Console
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import orders_pb2

from ops.orders import tables


def test_one_order_is_shown_with_every_field_that_is_set():
    content = orders_pb2.OrderContent(
        symbol="BTCUSDT",
        side=types_pb2.SIDE_SELL,
        type=orders_pb2.ORDER_TYPE_STOP_LIMIT,
        size="0.5",
        price="99",
        stop_price="100",
        reduce_only=True,
    )
    order = orders_pb2.Order(
        content=content,
        client_order_id="a" * 32,
        state=orders_pb2.ORDER_STATE_PARTLY_FILLED,
        filled_size="0.2",
        size_unit="BTC",
        fees=[orders_pb2.Fee(asset="USDT", amount="0.01")],
        held_here=True,
        created_time_ns=1_700_000_000_123_000_000,
    )
    console = Console(width=120)
    with console.capture() as shown:
        console.print(tables.order(order))
    cells = [line.split("\u2502")[1:3] for line in shown.get().splitlines() if "\u2502" in line]
    values = {name.strip(): value.strip() for name, value in cells}
    assert values == {
        "id": "a" * 32,
        "symbol": "BTCUSDT",
        "side": "sell",
        "type": "stop limit",
        "size": "0.5 BTC",
        "price": "99",
        "stop price": "100",
        "reduce only": "yes",
        "state": "partly filled",
        "filled": "0.2 BTC",
        "fees": "0.01 USDT",
        "held here": "not at the venue yet",
        "created": "2023-11-14 22:13:20.123+00:00",
    }


def test_sizes_name_their_unit_in_every_table():
    unit = "contracts of 100 USD"
    content = orders_pb2.OrderContent(symbol="BTC-USD-SWAP", side=types_pb2.SIDE_BUY, size="5")
    order = orders_pb2.Order(content=content, filled_size="2", size_unit=unit)
    assert {"5 contracts of 100 USD", "2 contracts of 100 USD"} <= {*tables.order_cells(order)}
    fill = orders_pb2.Fill(size="2", size_unit=unit, side=types_pb2.SIDE_BUY)
    assert "2 contracts of 100 USD" in tables.fill_cells(fill)
    position = orders_pb2.Position(symbol="BTC-USD-SWAP", size="-2", size_unit=unit)
    console = Console(width=120)
    with console.capture() as shown:
        console.print(tables.positions([position]))
    assert "-2 contracts of 100 USD" in shown.get()
