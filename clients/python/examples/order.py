"""Buys a small amount at the market and follows the order until it is final."""

import uuid

from example import run
from venuemesh.common.v1 import types_pb2
from venuemesh.tradeflow.v1 import accounts_pb2, orders_pb2
from venuemesh_client import Client, executions, place, word_of


async def place_order(client: Client, venue: str, symbol: str) -> None:
    request = accounts_pb2.ListAccountsRequest(venue=venue)
    accounts = (await client.trade_flow.ListAccounts(request)).accounts
    if not accounts:
        raise ValueError(f"{venue} has no account")
    account = accounts[0].account
    content = orders_pb2.OrderContent(
        venue=venue,
        account=account,
        symbol=symbol,
        side=types_pb2.SIDE_BUY,
        type=orders_pb2.ORDER_TYPE_MARKET,
        size="0.001",
    )
    request_id = f"python-{uuid.uuid4()}"
    placed = ""
    async for event in executions(client, venue, account):
        if event.HasField("snapshot") and not placed:
            (order,) = await place(client, content, request_id)
            placed = order.client_order_id
            print(f"placed {placed}")
        order = event.order
        if not placed or order.client_order_id != placed:
            continue
        state = word_of(orders_pb2.OrderState.DESCRIPTOR, order.state)
        print(f"{state}, filled {order.filled_size} at {order.average_price}")
        if order.state >= orders_pb2.ORDER_STATE_FILLED:
            return


run(place_order)
