"""Decides who may cancel an order, and cancels.

Whoever may call TradeFlow may cancel entries. Without a protective order a position is at risk: its
cancel needs an approval, or a caller with the role operator. The journal keeps with each order who
has asked for its cancel.
"""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from venuemesh.tradeflow.v1 import batches_pb2, signed_pb2, trade_flow_pb2

from kit.base import telemetry
from kit.base.access.call_guard import NOBODY, current_caller
from kit.base.access.roles import Role
from kit.base.errors import (
    ApprovalRejected,
    StoreUnavailable,
    UnknownInstrument,
    VenuemeshError,
)
from kit.base.request_id import current_request_id
from kit.execution.account import Account
from kit.execution.approval.signing import OPERATIONS
from kit.execution.approval.verifier import require_symbol
from kit.execution.contract import Operation
from kit.execution.orders.order import Order
from kit.execution.tasks import await_each

CANCEL, CANCEL_ALL = signed_pb2.OPERATION_CANCEL, signed_pb2.OPERATION_CANCEL_ALL
ALL_ORDERS = "all orders"

ResultT = TypeVar("ResultT")

_log = telemetry.logger("orders.cancels")


async def cancel(
    account: Account, client_order_id: str, approved: signed_pb2.ApprovedOrder
) -> Order:
    """Cancel an order and all its attempts. Returns the newest attempt that was open. Raises
    UnknownOrder, ApprovalRejected, VenueUnavailable, StoreUnavailable."""
    order, requested_by = _cancellable(account, client_order_id, approved)
    newest = account.retries.newest_open(order)

    async def work() -> None:
        await account.retries.cancel(order, requested_by)
        await _keep_requesters(account, [order])

    await _to_the_end(account, work())
    return newest


async def cancel_many(
    account: Account, cancels: Sequence[batches_pb2.OrderCancel]
) -> list[Order | VenuemeshError]:
    """Cancel orders that do not depend on each other. Returns an answer for each, as ``cancel``."""
    outcomes: list[Order | VenuemeshError] = []
    named: dict[int, tuple[Order, str]] = {}
    """By place, the order that the request names, and who asks for its cancel."""
    retries = account.retries
    for place, one in enumerate(cancels):
        try:
            named[place] = found = _cancellable(account, one.client_order_id, one.approved)
            outcomes.append(retries.newest_open(found[0]))
        except VenuemeshError as error:
            outcomes.append(error)
    attempts = {
        one.key: (one, requested_by)
        for order, requested_by in named.values()
        for one in retries.attempts(order)
    }

    async def cancel_one(place: int) -> None:
        try:
            await retries.cancel(*named[place])
        except VenuemeshError as error:
            outcomes[place] = error

    async def work() -> None:
        await account.submitter.cancel_many(list(attempts.values()))
        await await_each(map(cancel_one, named))
        await _keep_requesters(account, [order for order, _ in named.values()])

    await _to_the_end(account, work())
    return outcomes


async def cancel_all(
    account: Account, request: trade_flow_pb2.CancelAllOrdersRequest
) -> tuple[Sequence[Order], Sequence[Order]]:
    """Cancel all orders, or all entries. Returns the orders that were open, and the protective
    orders that stay. Raises AccountNotReady, ApprovalRejected, UnknownInstrument, VenueUnavailable,
    StoreUnavailable."""
    symbol, submitter = request.symbol, account.submitter
    if request.HasField("approved"):
        account.check_loaded(or_refused=True)
        _check_listed(account, symbol)
        verified = account.verify(request.approved, CANCEL_ALL)
        require_symbol(verified, symbol)
        requested_by = _approved_by(verified.approved.key_id, ALL_ORDERS)
        orders = await submitter.answered.cancel_all(
            verified,
            lambda: submitter.cancel_all(symbol, requested_by),
            must_be_written=account.is_loaded,
        )
        return orders, ()
    if request.include_protective:
        account.check_loaded(or_refused=True)
        _check_listed(account, symbol)
        requested_by = _operator(ALL_ORDERS, CANCEL_ALL)
        return await _to_the_end(account, submitter.cancel_all(symbol, requested_by)), ()
    # Which orders are protective is in the journal.
    account.check_loaded()
    _check_listed(account, symbol)
    orders = await _to_the_end(account, submitter.cancel_entries(symbol, _requester()))
    open_orders = account.state.index.open.values()
    left = [one for one in open_orders if one.is_protective and symbol in ("", one.symbol)]
    return orders, left


async def _to_the_end(account: Account, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Wait for work that goes on when its caller leaves: a cancel that has been asked for is sent,
    however long it waits for its turn."""
    return await asyncio.shield(account.submitter.tasks.start(work))


def _cancellable(
    account: Account, client_order_id: str, approved: signed_pb2.ApprovedOrder
) -> tuple[Order, str]:
    """Return an order that the present caller may cancel with this approval, which names it or
    another attempt of it, and who that is. Raises UnknownOrder, ApprovalRejected."""
    order = account.order(client_order_id)
    attempts = account.retries.attempts(order)
    if not any(one.is_protective and not _has_ended(one) for one in attempts):
        return order, _requester()
    if not approved.ListFields():
        return order, _operator(order.key, CANCEL)
    target = approved.target_client_order_id
    is_attempt = any(one.key == target for one in attempts)
    account.verify(approved, CANCEL, target if is_attempt else order.key)
    return order, _approved_by(approved.key_id, order.key)


async def _keep_requesters(account: Account, orders: Sequence[Order]) -> None:
    """Have on disk who has cancelled protective orders. A disk that is full holds no cancel up."""
    if not any(order.is_protective for order in orders):
        return
    try:
        await account.journal.commit()
    except StoreUnavailable as error:
        _log.error("who has cancelled is not on disk", extra={"detail": error.message})


def _has_ended(order: Order) -> bool:
    """Whether an order has certainly ended. One that has ended here without a proof may be open at
    the venue, and is cancelled there then."""
    return order.is_final and (order.is_end_proven or order.held_here)


def _approved_by(key_id: str, what: str) -> str:
    return _logged(_requester(f"key {key_id}"), what)


def _operator(what: str, operation: Operation) -> str:
    """Return the caller of a cancel without an approval. Raises ApprovalRejected unless it is an
    operator."""
    caller = current_caller()
    if caller is not NOBODY and Role.OPERATOR in caller.roles:
        return _logged(_requester(f"role {Role.OPERATOR}"), what)
    have = f"{caller.name} has {', '.join(sorted(caller.roles))}"
    if caller is NOBODY:
        have = "the mesh asks for no tokens, so it knows no operator"
    text = f"there is no signature, and without {what} a position may have no protection: to "
    text += f"cancel needs an approval of {OPERATIONS[operation]}, or a caller with the role "
    text += f"{Role.OPERATOR}; {have}"
    raise ApprovalRejected(text, why="missing")


def _requester(right: str = "") -> str:
    """Who makes the present call, and by which right."""
    caller = current_caller()
    return ", ".join(filter(None, ("" if caller is NOBODY else caller.name, right)))


def _logged(requested_by: str, what: str) -> str:
    """Log who may cancel protective orders, and return it."""
    extra = {
        "caller": current_caller().name,
        "token_id": current_caller().token_id,
        "permitted_by": requested_by,
        "orders": what,
        "request_id": current_request_id(),
    }
    _log.info("cancel of protective orders", extra=extra)
    return requested_by


def _check_listed(account: Account, symbol: str) -> None:
    """Raises UnknownInstrument for a symbol that is neither listed nor that of an open order: a
    wrong one must not look like one without orders, and is nothing to ask the venue for."""
    if symbol in ("", *(one.symbol for one in account.state.index.open.values())):
        return
    if account.market.instrument(symbol) is None:
        venue = account.context.venue
        text = f"{venue} does not list {symbol!r}, and no open order has this symbol"
        raise UnknownInstrument(text, venue=venue, symbol=symbol)
