"""``./venuemesh order``: orders of a running mesh, from the command line.

Requests are approved with the key of ``--key``, or with the development key of the mesh's data
folder, which in the live world only paper accounts accept. Entries are cancelled without an
approval; stops, exits and other protective orders of a real account need ``--key``.
"""

import argparse
import asyncio
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console
from rich.table import Table
from venuemesh.tradeflow.v1 import (
    batches_pb2,
    flatten_pb2,
    orders_pb2,
    signed_pb2,
    trade_flow_pb2,
    trade_flow_pb2_grpc,
)

from kit.base import errors, rpc, settings
from kit.base.settings import MESH_SECTION, MeshSettings
from kit.execution.approval.keys import APPROVED_NS, development_signer
from kit.execution.approval.signing import ApprovalSigner, MeshScope
from kit.execution.contract import Operation
from kit.execution.settings import OrdersSettings
from ops.errors import OperationsError
from ops.orders import arguments, groups, signing, tables
from ops.supervisor import state

CALL_SECONDS_MAX = 30

UNCLEAR = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.UNKNOWN,
    }
)
"""After these the request may have been carried out."""

WIDTH_MIN = 160
"""Width of a table if the output is not a terminal."""

# Texts of venues have brackets, which are no markup.
_console = Console(markup=False)
if not _console.is_terminal:
    _console.width = max(_console.width, WIDTH_MIN)


def run(given: Sequence[str]) -> int:
    """Return 0 on success."""
    chosen = arguments.parser().parse_args(given)
    if "id" in chosen:
        chosen.id = arguments.request_id(chosen)
    mesh = settings.load(MeshSettings, MESH_SECTION)
    data = (chosen.data or Path(mesh.data_dir)).expanduser().absolute()
    running = state.read(data)
    if running is None:
        raise OperationsError(f"no mesh runs on {data}; name its folder with --data")
    try:
        scope = MeshScope(running.mesh_id, running.world)
        orders = settings.load(OrdersSettings, "orders")
        own = signing.own_signer(chosen, scope, data, orders) if "key" in chosen else None
        name = f"{chosen.venue}/{chosen.account}"
        is_known = own is not None or scope.world != "live" or name in orders.paper_accounts
        signer = own or development_signer(data, scope)
        gateway = running.gateway.removeprefix("http://")
        asyncio.run(_OrderCommand(gateway, signer, chosen, signs_cancels=is_known).do())
    except grpc.aio.AioRpcError as error:
        raise OperationsError(_explained(error, chosen)) from None
    except errors.VenuemeshError as error:
        raise OperationsError(f"{error.reason}: {error.message}") from None
    except UnicodeEncodeError as error:
        raise OperationsError(f"{error.object!r} is no text in UTF-8") from None
    except KeyboardInterrupt:
        if "id" in chosen:
            print(f"venuemesh: {_repeat(chosen)}", file=sys.stderr)
        raise
    return 0


def _explained(error: grpc.aio.AioRpcError, chosen: argparse.Namespace) -> str:
    text = f"{errors.reason_of(error) or error.code().name}: {error.details()}"
    return f"{text}; {_repeat(chosen)}" if "id" in chosen and error.code() in UNCLEAR else text


def _repeat(chosen: argparse.Namespace) -> str:
    return f"it may have been done: repeat it with --id {chosen.id}, which does nothing twice"


def _confirm(action: str, chosen: argparse.Namespace) -> None:
    """Ask before an action. Raises OperationsError without a yes."""
    if chosen.yes:
        return
    if not sys.stdin.isatty():
        raise OperationsError(f"to {action} needs --yes where nobody can be asked")
    if input(f"Really {action}? Type yes: ").strip() != "yes":
        raise OperationsError("nothing was done")


class _OrderCommand:
    """One command."""

    def __init__(
        self,
        gateway: str,
        signer: ApprovalSigner,
        chosen: argparse.Namespace,
        *,
        signs_cancels: bool,
    ) -> None:
        """``signs_cancels``: whether the account may know the key of ``signer``."""
        self._gateway = gateway
        self._signs_cancels = signs_cancels
        self._signer = signer
        self._chosen = chosen
        self._whose = {"venue": chosen.venue, "account": chosen.account}
        self._options: dict[str, Any] = {
            "metadata": [("venuemesh-venue", chosen.venue)],
            "timeout": CALL_SECONDS_MAX,
        }

    async def do(self) -> None:
        async with rpc.channel(self._gateway) as channel:
            stub = trade_flow_pb2_grpc.TradeFlowStub(channel)
            if self._chosen.verb == "watch":
                await self._watch(stub)
            else:
                _console.print(await self._asked(stub))

    async def _asked(self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> Table:
        chosen, whose, options = self._chosen, self._whose, self._options
        match chosen.verb:
            case "amend":
                return tables.orders([await self._amend(stub)])
            case "place":
                request = trade_flow_pb2.PlaceOrderRequest(
                    venue=chosen.venue, approved=self._approved()
                )
                return tables.orders([(await stub.PlaceOrder(request, **options)).order])
            case "bracket" | "oco":
                group = batches_pb2.PlaceOrderGroupRequest(
                    venue=chosen.venue, approved=self._approved_group()
                )
                return tables.orders((await stub.PlaceOrderGroup(group, **options)).orders)
            case "cancel":
                cancel = trade_flow_pb2.CancelOrderRequest(
                    client_order_id=chosen.client_order_id,
                    approved=self._approved_cancel(
                        signed_pb2.OPERATION_CANCEL, target=chosen.client_order_id
                    ),
                    **whose,
                )
                return tables.orders([(await stub.CancelOrder(cancel, **options)).order])
            case "cancel-all":
                every = trade_flow_pb2.CancelAllOrdersRequest(
                    symbol=chosen.symbol,
                    approved=self._approved_cancel(
                        signed_pb2.OPERATION_CANCEL_ALL, symbol=chosen.symbol
                    ),
                    **whose,
                )
                answer = await stub.CancelAllOrders(every, **options)
                return tables.orders([*answer.orders, *answer.left_open])
            case "flatten":
                return tables.orders(await self._flatten(stub))
            case "show":
                return tables.order(await self._get(stub))
            case "list":
                opened = trade_flow_pb2.ListOpenOrdersRequest(symbol=chosen.symbol, **whose)
                return tables.orders((await stub.ListOpenOrders(opened, **options)).orders)
            case "fills":
                wanted = trade_flow_pb2.ListFillsRequest(symbol=chosen.symbol, **whose)
                return tables.fills((await stub.ListFills(wanted, **options)).fills)
        return await self._reported(stub)

    async def _amend(self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> orders_pb2.Order:
        chosen = self._chosen
        approved = self._signer.approve(
            arguments.amended(await self._get(stub), chosen),
            arguments.request_id(chosen),
            time.time_ns() + APPROVED_NS,
            signed_pb2.OPERATION_AMEND,
            chosen.client_order_id,
        )
        request = trade_flow_pb2.AmendOrderRequest(
            client_order_id=chosen.client_order_id, approved=approved, **self._whose
        )
        return (await stub.AmendOrder(request, **self._options)).order

    async def _flatten(
        self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub"
    ) -> Sequence[orders_pb2.Order]:
        """Flatten, and wait for the end. Raises OperationsError if something is left open."""
        chosen = self._chosen
        where = f"{chosen.venue}/{chosen.account}"
        _confirm(
            f"cancel all orders and close {chosen.symbol or 'all positions'} at {where}", chosen
        )
        request_id = arguments.request_id(chosen)
        _console.print(
            f"request id {request_id}: --id {request_id} continues if this is interrupted"
        )
        content = orders_pb2.OrderContent(symbol=chosen.symbol, **self._whose)
        while True:
            expires_ns = time.time_ns() + APPROVED_NS
            approved = self._signer.approve(
                content, request_id, expires_ns, signed_pb2.OPERATION_FLATTEN
            )
            request = flatten_pb2.FlattenRequest(
                symbol=chosen.symbol, approved=approved, **self._whose
            )
            answer = await stub.Flatten(request, **self._options)
            left = "; ".join(
                " ".join(filter(None, (one.symbol, one.found, one.detail)))
                for one in answer.left_open
            )
            if not answer.under_way:
                break
            _console.print(f"under way: {left}")
        if left:
            _console.print(tables.orders(answer.orders))
            raise OperationsError(f"left open: {left}")
        _console.print(f"{where} is flat: the venue has confirmed it")
        return answer.orders

    async def _get(self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> orders_pb2.Order:
        request = trade_flow_pb2.GetOrderRequest(
            client_order_id=self._chosen.client_order_id, **self._whose
        )
        return (await stub.GetOrder(request, **self._options)).order

    async def _reported(self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> Table:
        whose, options = self._whose, self._options
        if self._chosen.verb == "balances":
            balances = trade_flow_pb2.ListBalancesRequest(**whose)
            return tables.balances((await stub.ListBalances(balances, **options)).balances)
        if self._chosen.verb == "positions":
            positions = trade_flow_pb2.ListPositionsRequest(**whose)
            return tables.positions((await stub.ListPositions(positions, **options)).positions)
        if self._chosen.verb == "heartbeat":
            beat = self._signer.heartbeat(time_ns=time.time_ns(), **whose)
            return tables.accounts([(await stub.Heartbeat(beat, **options)).account])
        accounts = trade_flow_pb2.ListAccountsRequest(venue=self._chosen.venue)
        return tables.accounts((await stub.ListAccounts(accounts, **options)).accounts)

    async def _watch(self, stub: "trade_flow_pb2_grpc.TradeFlowAsyncStub") -> None:
        request = trade_flow_pb2.StreamExecutionsRequest(**self._whose)
        async for event in stub.StreamExecutions(request, metadata=self._options["metadata"]):
            kind = event.WhichOneof("event") or ""
            match kind:
                case "snapshot":
                    _console.print(tables.orders(event.snapshot.orders))
                    for one in event.snapshot.left_open:
                        _console.print("left open", one.found, one.symbol, one.detail)
                case "order":
                    _console.print(kind, *tables.order_cells(event.order))
                case "fill":
                    _console.print(kind, *tables.fill_cells(event.fill))
                case "account":
                    _console.print(kind, *tables.account_cells(event.account))
                case _:
                    _console.print(kind, str(getattr(event, kind)).replace("\n", " "))

    def _approved_cancel(
        self, operation: Operation, symbol: str = "", target: str = ""
    ) -> signed_pb2.ApprovedOrder | None:
        """The approval of a cancel; None for a real account, which does not know the development
        key."""
        if not self._signs_cancels:
            return None
        content = orders_pb2.OrderContent(symbol=symbol, **self._whose)
        expires_ns, name = time.time_ns() + APPROVED_NS, secrets.token_hex(arguments.ID_BYTES)
        return self._signer.approve(content, name, expires_ns, operation, target)

    def _approved(self) -> signed_pb2.ApprovedOrder:
        return self._approve({arguments.request_id(self._chosen): arguments.content(self._chosen)})[
            0
        ]

    def _approved_group(self) -> Sequence[signed_pb2.ApprovedOrder]:
        return self._approve(groups.contents(self._chosen))

    def _approve(
        self, contents: Mapping[str, orders_pb2.OrderContent]
    ) -> Sequence[signed_pb2.ApprovedOrder]:
        expires_ns = time.time_ns() + APPROVED_NS
        return [self._signer.approve(one, name, expires_ns) for name, one in contents.items()]
